"""A training of seconds with all that makes resuming hard: dropout, augmentation, momentum, a schedule, batch norm.

``python -m tests.fakes.training FOLDER`` starts it once per learner and name in `PLACES`, each in
``FOLDER/LEARNER_NAME`` and in a process of its own that kills itself there.
"""

from __future__ import annotations

import itertools
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

import torch
from pytorch_lightning import Trainer
from pytorch_lightning.callbacks import Callback

from src.networks.models import build
from src.training import checkpoints
from src.training.determinism import prepare, seed_everything
from src.training.fitting import Training, fit
from src.training.learners.modular import Modular
from src.training.learners.monolithic import Monolithic
from src.training.learners.stepping import Stepping
from src.training.learners.width_variant import WidthVariant
from tests.fakes.data import TinyData
from tests.fakes.networks import ARCHITECTURE

EPOCHS = 4
LAST = 2  # the epoch in which a killed training is killed
LEARNERS = ("monolithic", "modular", "variant")
PLACES = ("step", "history", "checkpoint")
OPTIM = {"name": "adamw", "lr": 0.01, "schedule": {"name": "cosine", "warmup": 0.1}}
RESTARTS = {
    "name": "sgd",
    "lr": 0.05,
    "momentum": 0.9,
    "schedule": {"name": "sgdr", "first": 1, "factor": 2, "lowest": 1e-5},
}


def train(
    folder: Path, *, learner: str = "monolithic", seed: int = 0, kill_at: str = "", epochs: int = EPOCHS, **options: Any
) -> list[dict]:
    """The history of the training in ``folder``; with ``kill_at`` it never returns."""
    folder.mkdir(exist_ok=True)
    prepare(threads=1, seed=seed)
    seed_everything("weights", seed)
    if kill_at in ("history", "checkpoint"):
        _kill_between_files(kill_at)
    data = TinyData(shuffle_seed=seed)
    data.per_call = 2
    architecture = {**ARCHITECTURE, "batch_norm": True}
    network: Stepping
    if learner == "monolithic":
        network = Monolithic(architecture, OPTIM)
    elif learner == "modular":
        network = Modular(build(architecture), OPTIM)
    else:
        network = WidthVariant(architecture, RESTARTS, 12, 4, 8)
    if kill_at == "step":
        options["callbacks"] = [Dies()]
    return fit(network, data, Training(epochs, keep_every=1), folder, seed=seed, **options)


def kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


class Dies(Callback):
    """Before the last optimiser steps of an epoch."""

    def on_train_batch_start(self, trainer: Trainer, learner: Any, call: Any, call_index: int) -> None:
        if (trainer.current_epoch, call_index) == (LAST, 1):
            kill()


def _kill_between_files(place: str) -> None:
    """Dies at an epoch's end: before the history is written, or before the checkpoint is."""
    if place == "history":

        def write(path: Path, text: str) -> None:
            if f'"epoch": {LAST}' in text:
                kill()
            path.write_text(text)

        checkpoints.write_atomically = write
    else:
        save = Trainer.save_checkpoint

        def save_or_die(self: Trainer, *arguments: Any, **options: Any) -> None:
            if self.current_epoch == LAST:
                kill()
            save(self, *arguments, **options)

        Trainer.save_checkpoint = save_or_die  # type: ignore[method-assign]


def ask_to_end(folder: Path, handled: bool) -> int:
    """How the process of a training ends that gets SIGTERM, with a handler of its own or without."""
    child = os.fork()
    if child == 0:
        if handled:
            signal.signal(signal.SIGTERM, lambda *_: os._exit(3))
        train(folder, learner="variant", callbacks=[Asks()])
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


class Asks(Callback):
    """Sends SIGTERM within an epoch."""

    def on_train_batch_start(self, *_: Any) -> None:
        os.kill(os.getpid(), signal.SIGTERM)


def main(root: Path) -> None:
    for learner, place in itertools.product(LEARNERS, PLACES):
        child = os.fork()
        if child == 0:
            train(root / f"{learner}_{place}", learner=learner, kill_at=place)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        assert os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL, (learner, place, status)
    ends = {name: ask_to_end(root / name, name == "handled") for name in ("handled", "unhandled")}
    (root / "ends.json").write_text(json.dumps(ends))


if __name__ == "__main__":
    torch.set_num_threads(1)
    main(Path(sys.argv[1]))
