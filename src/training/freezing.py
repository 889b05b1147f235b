"""Training of some layers alone: all others keep their weights, and their statistics of batch normalisation."""

from collections.abc import Sequence
from fnmatch import fnmatchcase

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback
from torch import nn

from src.core.errors import UserError, suggestion


class TrainOnly(Callback):
    """Freezes everything but the modules whose name fits a pattern (``conv_2``, ``fc_*``).

    Args:
        model: its parameters are frozen at once, before an optimiser is made.
        patterns: of names of modules that have parameters of their own.

    Raises:
        UserError: there is no pattern, or one fits no such module.
    """

    def __init__(self, model: nn.Module, patterns: Sequence[str]) -> None:
        modules = dict(model.named_modules())
        owners = [name for name, module in modules.items() if next(module.parameters(False), None) is not None]
        if not patterns:
            raise UserError(f"training.train_only=[]: nothing would learn; {suggestion('', owners)}, or null for all")
        for pattern in patterns:
            if not any(fnmatchcase(name, pattern) for name in owners):
                raise UserError(
                    f"training.train_only: no layer with weights fits '{pattern}'; {suggestion(pattern, owners)}"
                )
        self.frozen = [
            module
            for name, module in modules.items()
            # normalisation may have statistics alone
            if (name in owners or next(module.buffers(False), None) is not None)
            and not any(fnmatchcase(name, pattern) for pattern in patterns)
        ]
        for module in self.frozen:
            for parameter in module.parameters(recurse=False):
                parameter.requires_grad_(False)

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        # after Lightning's own switch to training mode, in which statistics would follow the new images
        for module in self.frozen:
            module.training = False  # not eval(), which reaches into modules that learn
