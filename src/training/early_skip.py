"""Stop a network early that has not learnt anything within the first cycle of its schedule (Mundt et al. 2018)."""

from __future__ import annotations

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Checkpoint


class EarlySkip(Checkpoint):
    """Ends the training where ``train/accuracy`` is below ``share / classes`` after the epoch ``after``.

    The training counts as ended: its last row of history has ``skipped: 1.0``, and it is not gone on with.
    The class derives from Lightning's ``Checkpoint`` because those callbacks run after the learner has logged.

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
