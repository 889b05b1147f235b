"""A network that was trained here, with the data and the course of its training."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from src.data.datamodule import ImageData
from src.networks.subjects import Subject
from src.training.fitting import Training


@dataclass
class Trained:
    """A trained network, the data it was trained on, and how the training went."""

    subject: Subject
    data: ImageData
    digest: str
    folder: Path  # of its weights, by epoch where they were kept
    history: list[dict[str, float]]
    training: Training
    epoch: int
    seconds: float  # of its epochs
    how: dict[str, Any]  # precision, and whether memory was saved

    @property
    def accuracy(self) -> float:
        """On the validation images, at the chosen epoch."""
        return self.history[self.epoch]["val/accuracy"]

    @property
    def converged(self) -> bool:
        return self.accuracy >= self.training.minimum_accuracy
