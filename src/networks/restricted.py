"""A network that may answer with some of its classes alone, as where images show 200 of ImageNet's 1000."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from src.networks.subjects import Subject, rebuild, register_assembly

RESTRICTED = "restricted"


class Restricted(nn.Module):
    """The logits of some classes.

    Args:
        model: images (n, C, H, W) -> logits (n, N).
        numbers: of its N classes, those that may be answered, in the order of the new logits.
    """

    def __init__(self, model: nn.Module, numbers: Sequence[int]) -> None:
        super().__init__()
        self.model = model
        self.register_buffer("numbers", torch.tensor(list(numbers)), persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        """(n, C, H, W) -> (n, numbers)."""
        logits: Tensor = self.model(images)
        return logits[:, self.get_buffer("numbers")]


def restricted(subject: Subject, numbers: Sequence[int]) -> Subject:
    """The subject with only these of its classes, in this order."""
    architecture = {"name": RESTRICTED, "input_shape": list(subject.input_shape), "numbers": list(numbers),
                    "model": subject.architecture, "kept": subject.kept}  # fmt: skip
    classes = tuple(subject.classes[number] for number in numbers)
    model = Restricted(subject.model, numbers).eval()
    return replace(subject, model=model, architecture=architecture, classes=classes, kept=None)


def _rebuild(architecture: Mapping[str, Any]) -> nn.Module:
    return Restricted(rebuild(architecture["model"], architecture["kept"]), architecture["numbers"])


register_assembly(RESTRICTED, _rebuild)
