"""What networks answer to raw images, batch by batch, whether the images are in memory or in files."""

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from src.networks.activations import evaluating
from src.networks.subjects import Subject

if TYPE_CHECKING:
    from src.artifacts.network import Trained

BATCH = 256


@torch.inference_mode()
def batched(subject: Subject, images: Tensor, batch: int = BATCH) -> Tensor:
    """What the subject answers to uint8 images (n, C, H, W), on the CPU: (n, N)."""
    device = next(subject.model.parameters()).device
    with evaluating(subject.model):
        parts = [subject.model(subject.normalise(part.to(device))).cpu() for part in images.split(batch)]
    return torch.cat(parts)


@torch.inference_mode()
def of_part(network: "Trained", part: str, batch: int = BATCH) -> tuple[Tensor, Tensor]:
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
