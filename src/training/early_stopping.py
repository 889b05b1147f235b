"""End a training early: where the validation loss no longer falls, or where a network has learnt nothing at first."""

from typing import Annotated

import pytorch_lightning as pl
from annotated_types import Ge
from pytorch_lightning import callbacks
from pytorch_lightning.callbacks.early_stopping import EarlyStoppingReason
from torch import Tensor

from src.core.options import Count, options


@options
class EarlyStopping:
    """Ends after ``patience`` epochs in none of which ``val/loss`` was more than ``min_delta`` below its least."""

    patience: Count
    min_delta: Annotated[float, Ge(0)]


class LossStopping(callbacks.EarlyStopping):
    """The rule of :class:`EarlyStopping`.

    As in Keras: "least" is the last value that counted as lower, and a loss that is no number counts as not lower.
    Which weights are used afterwards, the last or the best, is the recipe's ``select``. What it counts is part of the
    resumable checkpoint; a training that was killed after its last epoch does not go on.
    """

    def __init__(self, rule: EarlyStopping) -> None:
        super().__init__(
            "val/loss", rule.min_delta, rule.patience, mode="min", check_finite=False, check_on_train_epoch_end=True
        )

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if self.stopping_reason != EarlyStoppingReason.NOT_STOPPED:
            trainer.should_stop = True

    def _evaluate_stopping_criteria(self, current: Tensor) -> tuple[bool, str | None]:
        return super()._evaluate_stopping_criteria(current.cpu())  # asked for once, not at each comparison


class EarlySkip(callbacks.Checkpoint):
    """Ends the training where ``train/accuracy`` is below ``share / classes`` after the epoch ``after``.

    Such a network has learnt nothing within the first cycle of its schedule (Mundt et al. 2018). The training counts as
    ended: its last row of history has ``skipped: 1.0``, and it is not gone on with. The class derives from Lightning's
    ``Checkpoint`` because those callbacks run after the learner has logged.

    Args:
        after: number of the epoch, from 0; the paper's is the last of the first cycle, 9.
        share: in accuracies of chance; the paper's is 2.
        classes: of the data.
    """

    def __init__(self, after: int, share: float, classes: int) -> None:
        self.after = after
        self.least = share / classes
        self.skipped = False

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if trainer.current_epoch == self.after and float(trainer.callback_metrics["train/accuracy"]) < self.least:
            trainer.should_stop = self.skipped = True

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """A training that was killed between its last epoch and its end does not go on."""
        for callback in trainer.checkpoint_callbacks:
            history = getattr(callback, "history", [])
            if history and history[-1].get("skipped"):
                trainer.should_stop = True
