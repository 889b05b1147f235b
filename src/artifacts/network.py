"""A network that was trained here, with the data and the course of its training."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from src.core.errors import UserError
from src.data.datamodule import ImageData
from src.networks.subjects import Subject
from src.training.fitting import Training, overfitted_epoch

SELECT = ("best", "last", "overfit", "underfit")


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


def select_epoch(select: str | int, history: list[dict[str, float]], best: int, where: str) -> tuple[int, str, str]:
    """(epoch, name of the weight file, note) of ``best``, ``last``, ``overfit``, ``underfit`` or a number."""
    match select:
        case "best":
            return best, "best", ""
        case "last":
            return len(history) - 1, "last", ""
        case "overfit" | "underfit":
            epoch, note = overfitted_epoch(history)
            epoch = epoch if select == "overfit" else epoch // 2
            return epoch, f"epoch_{epoch:04d}", note
        case int() if 0 <= select < len(history):
            return select, f"epoch_{select:04d}", ""
    raise UserError(
        f"{where}.select={select} is no epoch; take best, last, overfit, underfit or 0 to {len(history) - 1}"
    )
