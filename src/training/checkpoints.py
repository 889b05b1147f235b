"""Weights that a training leaves behind, and the state from which a killed one goes on."""

import json
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback, Checkpoint
from pytorch_lightning.plugins.io import TorchCheckpointIO
from pytorch_lightning.utilities import rank_zero_only
from torch import nn

from src.core.files import write_atomically
from src.networks.weights import save_weights
from src.training.determinism import seed_everything

RESUME = "resume.ckpt"
HISTORY = "history.json"
EVENTS = "events.json"
SECONDS = "seconds.json"


class Checkpoints(Checkpoint):
    """Keeps ``best``, ``last`` and every k-th epoch as weights, and a resumable Lightning checkpoint meanwhile.

    Best is the highest ``val/accuracy``, among equals the lowest ``val/loss``. It derives from Lightning's
    ``Checkpoint`` because those callbacks run after the learner has logged the epoch's metrics.

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
            self.resumable_since = time.monotonic()

    @rank_zero_only
    def _keep(self, learner: Any, metrics: dict[str, float], ends: bool) -> None:
        model: nn.Module = learner.model
        epoch = int(self.history[-1]["epoch"])
        rank = (metrics["val/accuracy"], -metrics["val/loss"])
        if rank > self.best or not (self.folder / "best.safetensors").exists():
            self.best = rank
            save_weights(model, self.folder / "best.safetensors")
        if self.every and (epoch + 1) % self.every == 0:
            save_weights(model, self.folder / f"epoch_{epoch:04d}.safetensors")
        if ends and self.keep_last:
            save_weights(model, self.folder / "last.safetensors")
        write_atomically(self.folder / HISTORY, json.dumps(self.history))
        if ends:
            write_atomically(self.folder / SECONDS, f"{self.seconds:.2f}")
        if getattr(learner, "events", []):
            write_atomically(self.folder / EVENTS, json.dumps(learner.events))

    def state_dict(self) -> dict[str, Any]:
        return {"history": self.history, "best": list(self.best), "seconds": self.seconds}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.history = list(state_dict["history"])
        self.seconds = state_dict["seconds"]
        self.best = (state_dict["best"][0], state_dict["best"][1])


class AtomicCheckpoints(TorchCheckpointIO):
    """Writes beside the target and renames: Lightning's own goes through the system's temporary folder."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        partial = Path(path).with_name(f".{Path(path).name}.partial")
        torch.save(checkpoint, partial)
        partial.replace(path)


class EpochSeed(Callback):
    """Makes all randomness inside an epoch (dropout) a pure function of (seed, epoch), so that resuming is exact."""

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        seed_everything("epoch", self.seed, trainer.current_epoch)


def resumable(folder: Path, on_event: Callable[[str], None] | None = None) -> Path | None:
    """The checkpoint of a killed training in ``folder``, if it can be read whole; a damaged one is told and deleted."""
    path = folder / RESUME
    if not path.exists():
        return None
    try:
        with zipfile.ZipFile(path) as archive:  # torch.load takes a flipped bit for a weight
            if archive.testzip():
                raise ValueError("a checksum does not hold")
        torch.load(path, weights_only=True, map_location="cpu")
    except Exception as error:
        path.unlink()
        if on_event:
            on_event(f"the checkpoint of a killed training was damaged ({type(error).__name__}): it began anew")
        return None
    return path


def events_of(folder: Path) -> list[str]:
    """What was done in the training of ``folder`` where memory ran out."""
    path = folder / EVENTS
    return list(json.loads(path.read_text())) if path.exists() else []
