"""A network that was trained here, with the data and the course of its training, and what networks answer."""

import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from src.core.errors import UserError
from src.data.datamodule import ImageData
from src.data.image_set import ImageSet
from src.networks.activations import evaluating
from src.networks.slicing.recalibration import recalibrate
from src.networks.subjects import COMPOSED, PATCHED, Subject, rebuild
from src.report.session import Session
from src.training.determinism import seed_everything
from src.training.fitting import Training, overfitted_epoch

BATCH = 256
RECALIBRATED = 512  # images that an untrained network's batch norms take their statistics from
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
    def no_number(self) -> bool:
        """Whether a loss is NaN at the chosen epoch."""
        return any(math.isnan(value) for value in self.history[self.epoch].values())

    @property
    def converged(self) -> bool:
        return self.accuracy >= self.training.minimum_accuracy and not self.no_number


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


@torch.inference_mode()
def batched(subject: Subject, images: Tensor, batch: int = BATCH) -> Tensor:
    """What the subject answers to uint8 images (n, C, H, W), in memory or in files, on the CPU: (n, N)."""
    device = next(subject.model.parameters()).device
    with evaluating(subject.model):
        parts = [subject.model(subject.normalise(part.to(device))).cpu() for part in images.split(batch)]
    return torch.cat(parts)


@torch.inference_mode()
def of_part(network: Trained, part: str, batch: int = BATCH) -> tuple[Tensor, Tensor]:
    """Logits (n, N) of a trained network on a part of its own data as it was trained on it, and the labels (n,)."""
    model, images = network.subject.model, network.data.sets[part]
    device = next(model.parameters()).device
    # whitened images are by the statistics of their part where the data say so
    seen = images.images if network.data.whitener is None else network.data.resident(part, torch.device("cpu"))[0]
    with evaluating(model):
        found = [model(network.data.normalise(some.to(device))).cpu() for some in seen.split(batch)]
    return torch.cat(found), images.labels


def log_probabilities(subject: Subject, images: Tensor) -> Tensor:
    """float64 (n, N): log-softmax of the answers, which leaves log-probabilities as they are."""
    return batched(subject, images).double().log_softmax(1)


def untrained_like(subject: Subject, images: ImageSet, seed: int, session: Session) -> Subject | None:
    """The same architecture with random weights on the same device, or None where it is made of other networks.

    Its batch norms have the statistics of these images: with those of no image at all, mean 0 and variance 1, most
    units of some networks are dead, and the baseline would be one of badly scaled maps.
    """
    if (name := subject.architecture["name"]) in (PATCHED, COMPOSED):
        session.event(f"study.untrained=true: a {name} network is made of trained ones; there is no untrained baseline")
        return None
    device = next(subject.model.parameters()).device
    seed_everything("untrained", seed)
    model = rebuild(subject.architecture, subject.kept)
    model.to(device).eval()
    recalibrate(model, subject.normalise(images.images[:RECALIBRATED].to(device)))
    return replace(subject, model=model, lineage=())
