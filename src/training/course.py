"""What each epoch of a training cost, beside its history: no two runs agree on it, and nothing is decided by it."""

import json
import resource
import sys
import time
from pathlib import Path

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback

from src.core.files import write_atomically

COURSE = ".course.json"  # begins with a dot: no part of what a training leaves


class Course(Callback):
    """Writes learning rate, seconds and memory of each epoch to a file in ``folder``; a resumed training goes on in it.

    Looks once per epoch, and changes no state of torch: the peak of memory is that since the process began.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.rows: list[dict[str, float]] = []
        self.since = 0.0

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.rows = [row for row in read_course(self.folder) if row["epoch"] < trainer.current_epoch]
        self.since = time.monotonic()

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if not trainer.is_global_zero:
            return
        now = time.monotonic()
        rate = float(trainer.optimizers[0].param_groups[0]["lr"])
        self.rows.append(
            {
                "epoch": trainer.current_epoch,
                "lr": rate,
                "epoch_seconds": round(now - self.since, 3),
                "memory_gb": round(_peak(pl_module.device) / 1e9, 3),
            }
        )
        self.since = now
        write_atomically(self.folder / COURSE, json.dumps(self.rows))


def read_course(folder: Path) -> list[dict[str, float]]:
    """A row per epoch with ``epoch``, ``lr``, ``epoch_seconds`` and ``memory_gb``; none where nothing was written."""
    try:
        rows: list[dict[str, float]] = json.loads((folder / COURSE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return []
    return rows


def _peak(device: torch.device) -> int:
    """Bytes: of the GPU's tensors, or of the whole process."""
    if device.type == "cuda":
        return int(torch.cuda.max_memory_allocated(device))
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024
