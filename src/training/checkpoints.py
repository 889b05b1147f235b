"""Weights that a training leaves behind, and the state from which a killed one goes on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback, Checkpoint
from torch import nn

from src.result import write_atomically
from src.training.determinism import seed_everything
from src.weights import save_weights

RESUME = "resume.ckpt"
HISTORY = "history.json"


class Checkpoints(Checkpoint):
    """Keeps ``best``, ``last`` and every k-th epoch as weights, and a resumable Lightning checkpoint meanwhile.

    Best is the highest ``val/accuracy``, among equals the lowest ``val/loss``. It derives from Lightning's
    ``Checkpoint`` because those callbacks run after the learner has logged the epoch's metrics.

    Args:
        folder: receives ``best.safetensors``, ``last.safetensors``, ``epoch_0007.safetensors``, ``history.json``.
        every: also keep each k-th epoch (1 keeps all), or None.
    """

    def __init__(self, folder: Path, every: int | None = None) -> None:
        self.folder = folder
        self.every = every
        self.history: list[dict[str, float]] = []
        self.best = (-1.0, 0.0)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        epoch = trainer.current_epoch
        metrics = {name: float(value) for name, value in trainer.callback_metrics.items() if "/" in name}
        self.history.append({"epoch": epoch, **metrics})
        model = pl_module.model
        assert isinstance(model, nn.Module)
        rank = (metrics["val/accuracy"], -metrics["val/loss"])
        if rank > self.best or not (self.folder / "best.safetensors").exists():
            self.best = rank
            save_weights(model, self.folder / "best.safetensors")
        if self.every and (epoch + 1) % self.every == 0:
            save_weights(model, self.folder / f"epoch_{epoch:04d}.safetensors")
        if epoch + 1 == trainer.max_epochs:
            save_weights(model, self.folder / "last.safetensors")
        write_atomically(self.folder / HISTORY, json.dumps(self.history))
        trainer.save_checkpoint(self.folder / RESUME)

    def state_dict(self) -> dict[str, Any]:
        return {"history": self.history, "best": list(self.best)}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.history = list(state_dict["history"])
        self.best = (state_dict["best"][0], state_dict["best"][1])


class EpochSeed(Callback):
    """Makes all randomness inside an epoch (dropout) a pure function of (seed, epoch), so that resuming is exact."""

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        seed_everything("epoch", self.seed, trainer.current_epoch)


def resumable(folder: Path) -> Path | None:
    """The checkpoint of a killed training in ``folder``, if it can be read whole."""
    path = folder / RESUME
    if not path.exists():
        return None
    try:
        torch.load(path, weights_only=True, map_location="cpu")
    except Exception:
        path.unlink()
        return None
    return path
