"""End a training whose validation loss no longer falls."""

from __future__ import annotations

from typing import Annotated

import pytorch_lightning as pl
from annotated_types import Ge
from pytorch_lightning import callbacks
from pytorch_lightning.callbacks.early_stopping import EarlyStoppingReason

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
