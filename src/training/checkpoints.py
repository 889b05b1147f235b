"""Weights that a training leaves behind, and the state from which a killed one goes on."""

import json
import math
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback, Checkpoint
from pytorch_lightning.plugins.io import TorchCheckpointIO
from pytorch_lightning.utilities import rank_zero_only
from torch import nn

from src.core.files import checksum, replacing, write_atomically, write_json
from src.networks.weights import save_weights
from src.training.determinism import seed_everything

BEST = "best.safetensors"
LAST = "last.safetensors"
RESUME = "resume.ckpt"
HISTORY = "history.json"
EVENTS = "events.json"
# their names begin with a dot: no part of what a training leaves
EARLIER = f".{BEST}.earlier"  # the best that the resumable checkpoint names, where a later epoch was better
ENDED = ".ended.json"  # seconds and checksums of a training that has ended


class Checkpoints(Checkpoint):
    """Keeps ``best``, ``last`` and every k-th epoch as weights, and a resumable Lightning checkpoint meanwhile.

    Best is the epoch of the highest :func:`rank_of`. The resumable checkpoint names the weights that were kept before
    it, with their checksums. It derives from Lightning's ``Checkpoint`` because those callbacks run after the learner
    has logged the epoch's metrics.

    Args:
        folder: receives ``best.safetensors``, ``last.safetensors``, ``epoch_0007.safetensors``, ``history.json``,
            and, where the learner has ``events``, ``events.json``.
        every: also keep each k-th epoch (1 keeps all), or None.
        keep_last: whether the last epoch's weights are kept.
        resume_every: seconds between resumable checkpoints; 0 leaves one after each epoch.
    """

    def __init__(
        self, folder: Path, every: int | None = None, keep_last: bool = True, resume_every: float = 0.0
    ) -> None:
        self.folder = folder
        self.every = every
        self.keep_last = keep_last
        self.resume_every = resume_every
        self.resumable_since = time.monotonic()
        self.seconds = 0.0  # of all epochs, also of those before a kill
        self.epoch_since = time.monotonic()
        self.history: list[dict[str, float]] = []
        self.best = (-1.0, 0.0)
        self.events: list[str] = []
        self.files: dict[str, str] = {}  # name -> checksum

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.resumable_since = self.epoch_since = time.monotonic()

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        epoch = trainer.current_epoch
        self.seconds += time.monotonic() - self.epoch_since
        self.epoch_since = time.monotonic()
        metrics = {name: float(value) for name, value in trainer.callback_metrics.items() if "/" in name}
        skipped = trainer.should_stop and any(getattr(each, "skipped", False) for each in trainer.checkpoint_callbacks)
        self.history.append({"epoch": epoch, **metrics, **({"skipped": 1.0} if skipped else {})})
        self._keep(pl_module, metrics, ends=epoch + 1 == trainer.max_epochs or trainer.should_stop)
        due = time.monotonic() - self.resumable_since >= self.resume_every
        if trainer.strategy.broadcast(due):  # processes wait for each other there, so all have to come
            trainer.save_checkpoint(self.folder / RESUME)
            self._forget_earlier()
            self.resumable_since = time.monotonic()

    def on_fit_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._end()

    @rank_zero_only
    def _keep(self, learner: Any, metrics: dict[str, float], ends: bool) -> None:
        model: nn.Module = learner.model
        epoch = int(self.history[-1]["epoch"])
        rank = rank_of(metrics)
        if rank > self.best or BEST not in self.files:
            self.best = rank
            if (self.folder / RESUME).exists() and BEST in self.files and not (self.folder / EARLIER).exists():
                (self.folder / BEST).replace(self.folder / EARLIER)
            self._save(model, BEST)
        if self.every and (epoch + 1) % self.every == 0:
            self._save(model, f"epoch_{epoch:04d}.safetensors")
        if ends and self.keep_last:
            self._save(model, LAST)
        write_history(self.folder, self.history)
        self.events = list(getattr(learner, "events", []))
        write_events(self.folder, self.events)

    def _save(self, model: nn.Module, name: str) -> None:
        save_weights(model, self.folder / name)
        self.files[name] = checksum(self.folder / name)

    @rank_zero_only
    def _forget_earlier(self) -> None:
        (self.folder / EARLIER).unlink(missing_ok=True)

    @rank_zero_only
    def _end(self) -> None:
        plain = {name: checksum(self.folder / name) for name in (HISTORY, EVENTS) if (self.folder / name).exists()}
        write_json(self.folder / ENDED, {"seconds": round(self.seconds, 2), "files": {**self.files, **plain}})

    def state_dict(self) -> dict[str, Any]:
        return {
            "history": self.history,
            "best": list(self.best),
            "seconds": self.seconds,
            "events": self.events,
            "files": self.files,
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.history = list(state_dict["history"])
        self.seconds = state_dict["seconds"]
        self.best = (state_dict["best"][0], state_dict["best"][1])
        self.events = list(state_dict.get("events", []))
        # an earlier version's names none
        present = [path.name for path in self.folder.glob("*.safetensors")]
        self.files = dict(state_dict.get("files") or {name: checksum(self.folder / name) for name in present})


class AtomicCheckpoints(TorchCheckpointIO):
    """Writes beside the target and renames: Lightning's own goes through the system's temporary folder."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        with replacing(Path(path)) as file:
            torch.save(checkpoint, file)


class EpochSeed(Callback):
    """Makes all randomness inside an epoch (dropout) a pure function of (seed, epoch), so that resuming is exact."""

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        seed_everything("epoch", self.seed, trainer.current_epoch)


def rank_of(metrics: Mapping[str, float]) -> tuple[float, float]:
    """By which epochs are better: validation accuracy, among equals the lower loss; below all, a loss that is NaN."""
    if math.isnan(metrics["val/loss"]):
        return -1.0, -math.inf
    return metrics["val/accuracy"], -metrics["val/loss"]


def write_history(folder: Path, history: Sequence[Mapping[str, float]]) -> None:
    """JSON knows no number that is not finite: one stands there as the word ``nan``, ``inf`` or ``-inf``."""
    rows = [{name: value if math.isfinite(value) else str(value) for name, value in row.items()} for row in history]
    write_atomically(folder / HISTORY, json.dumps(rows, allow_nan=False))


def read_history(folder: Path) -> list[dict[str, float]]:
    """What :func:`write_history` wrote, now or as ``NaN`` and ``Infinity``, as it did before."""
    rows = json.loads((folder / HISTORY).read_text(encoding="utf-8"))
    return [{name: float(value) if isinstance(value, str) else value for name, value in row.items()} for row in rows]


def write_events(folder: Path, events: Sequence[str]) -> None:
    """No events, no file."""
    if events:
        write_atomically(folder / EVENTS, json.dumps(list(events)))


def events_of(folder: Path) -> list[str]:
    """What was done in the training of ``folder`` where memory ran out."""
    path = folder / EVENTS
    return list(json.loads(path.read_text())) if path.exists() else []
