"""A training of seconds with all that makes resuming hard: dropout, augmentation, momentum, a schedule, batch norm.

``python -m tests.fakes.training FOLDER`` starts it once per name in `PLACES`, each in ``FOLDER/NAME`` and in a process
of its own that kills itself there.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from src.learners.monolithic import Monolithic
from src.training import checkpoints
from src.training.determinism import prepare, seed_everything
from src.training.fitting import Training, fit
from tests.fakes.data import TinyData
from tests.fakes.networks import ARCHITECTURE

EPOCHS = 4
LAST = 2  # the epoch in which a killed training is killed
PLACES = ("step", "history", "checkpoint")
OPTIM = {"name": "adamw", "lr": 0.01, "schedule": {"name": "cosine", "warmup": 0.1}}


def train(folder: Path, *, seed: int = 0, kill_at: str = "", epochs: int = EPOCHS, **options: Any) -> list[dict]:
    """The history of the training in ``folder``; with ``kill_at`` it never returns."""
    folder.mkdir(exist_ok=True)
    prepare(threads=1, seed=seed)
    seed_everything("weights", seed)
    learner = Killed if kill_at == "step" else Monolithic
    if kill_at in ("history", "checkpoint"):
        _kill_between_files(kill_at)
    data = TinyData(shuffle_seed=seed)
    network = learner({**ARCHITECTURE, "batch_norm": True}, OPTIM)
    return fit(network, data, Training(epochs, keep_every=1), folder, seed=seed, **options)


def kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


class Killed(Monolithic):
    """Dies after an optimiser step in the middle of an epoch."""

    def training_step(self, batch: tuple[Tensor, Tensor], batch_index: int) -> Tensor:
        if (self.current_epoch, batch_index) == (LAST, 2):
            kill()
        return super().training_step(batch, batch_index)


def _kill_between_files(place: str) -> None:
    """Dies at an epoch's end: before the history is written, or before the checkpoint is."""
    if place == "history":

        def write(path: Path, text: str) -> None:
            if f'"epoch": {LAST}' in text:
                kill()
            path.write_text(text)

        checkpoints.write_atomically = write
    else:
        from pytorch_lightning import Trainer

        save = Trainer.save_checkpoint

        def save_or_die(self: Trainer, *arguments: Any, **options: Any) -> None:
            if self.current_epoch == LAST:
                kill()
            save(self, *arguments, **options)

        Trainer.save_checkpoint = save_or_die  # type: ignore[method-assign]


def main(root: Path) -> None:
    for place in PLACES:
        child = os.fork()
        if child == 0:
            train(root / place, kill_at=place)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        assert os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL, (place, status)


if __name__ == "__main__":
    torch.set_num_threads(1)
    main(Path(sys.argv[1]))
