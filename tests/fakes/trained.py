"""Networks as if they had been trained, with weights after each epoch."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from src.artifacts.network import Trained
from src.networks.subjects import save_subject
from src.training.fitting import Training
from tests.fakes.data import TinyData
from tests.fakes.networks import subject


def network(folder: Path, seed: int, accuracies: list[float], minimum: float = 0.5) -> Trained:
    """As trained: validation accuracies by epoch, the last epoch is the chosen one; other weights after each."""
    data = TinyData()
    data.setup()
    for epoch in range(len(accuracies)):
        save_subject(subject(10 * seed + epoch), folder, f"epoch_{epoch:04d}")
    history = [
        {"epoch": epoch, **dict.fromkeys(("train/loss", "val/loss", "train/accuracy"), 0.5), "val/accuracy": accuracy}
        for epoch, accuracy in enumerate(accuracies)
    ]
    last = replace(subject(10 * seed + len(accuracies) - 1), lineage=(f"digest {seed}",))
    training = Training(len(accuracies), minimum_accuracy=minimum)
    return Trained(last, data, f"digest {seed}", folder, history, training, len(accuracies) - 1, 1.0, {})


def pair(folder: Path, plain: list[float], augmented: list[float]) -> dict[str, Trained]:
    return {"plain": network(folder / "plain", 1, plain), "augmented": network(folder / "augmented", 2, augmented)}
