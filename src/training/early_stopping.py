"""End a training whose validation loss no longer falls."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import EarlyStopping
from pytorch_lightning.callbacks.early_stopping import EarlyStoppingReason

from src.core.errors import UserError

KEYS = ("patience", "min_delta")


class LossStopping(EarlyStopping):
    """Ends after ``patience`` epochs in none of which ``val/loss`` was more than ``min_delta`` below its least.

    As in Keras: "least" is the last value that counted as lower, and a loss that is no number counts as not lower.
    Which weights are used afterwards, the last or the best, is the recipe's ``select``. What it counts is part of the
    resumable checkpoint; a training that was killed after its last epoch does not go on.
    """

    def __init__(self, patience: int, min_delta: float) -> None:
        super().__init__("val/loss", min_delta, patience, mode="min", check_finite=False, check_on_train_epoch_end=True)

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if self.stopping_reason != EarlyStoppingReason.NOT_STOPPED:
            trainer.should_stop = True


def check(given: Mapping[str, Any]) -> None:
    """UserError where ``training.early_stopping`` is not complete or has a value that is not allowed."""
    if set(given) != set(KEYS):
        raise UserError(
            f"training.early_stopping={dict(given)}: give patience and min_delta, as {{patience: 3, min_delta: 0.01}}, "
            "or null"
        )
    patience, min_delta = given["patience"], given["min_delta"]
    if not isinstance(patience, int) or isinstance(patience, bool) or patience < 1:
        raise UserError(f"training.early_stopping.patience={patience}: allowed are whole numbers of epochs from 1")
    if not isinstance(min_delta, int | float) or not min_delta >= 0:
        raise UserError(f"training.early_stopping.min_delta={min_delta}: give a number of at least 0")
