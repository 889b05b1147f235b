"""The whitenings of a data set's parts, fitted when they are first asked for."""

import hashlib
from collections.abc import Mapping
from typing import Annotated, Literal

import torch
from annotated_types import Gt
from torch import Tensor

from src.core.options import options
from src.data.image_set import ImageSet
from src.imageops.whitening import Rule, Whitening

BATCH = 2048  # images that are whitened at once


@options
class WhiteningOptions:
    """How images are whitened.

    Attributes:
        scope: whose statistics: ``train``: the training images of the whole data set, also for a subset of its
            classes; ``subset``: the training images of the subset; ``evaluation``: each part's own, even the test
            images' (as in the thesis on modular networks, L. Friedrichsen 2020; its accuracy flatters).
        eps: least eigenvalue, or what is added to each.
        rule: which of both.
    """

    scope: Literal["train", "subset", "evaluation"] = "train"
    eps: Annotated[float, Gt(0)] = 1e-3
    rule: Rule = "clamp"


class Whitener:
    """Gives the whitening, ``per_pixel`` or ``zca``, of each part of the sets; what is fitted is kept."""

    def __init__(self, sets: Mapping[str, ImageSet], kind: str, options: WhiteningOptions) -> None:
        self.sets, self.kind, self.options = sets, kind, options
        self._fitted: dict[str, Whitening] = {}

    def of(self, part: str, device: torch.device) -> Whitening:
        """The whitening of a part, there; it is fitted where it is first asked for."""
        part = part if self.options.scope == "evaluation" else "train"
        if part not in self._fitted:
            self._fitted[part] = self.fit(self.sets[part].images.to(device))
        return self._fitted[part].to(device)

    def fit(self, images: Tensor) -> Whitening:
        """Another one with the same options, by the statistics of uint8 images (n, C, H, W)."""
        return Whitening.fit(images, self.kind, eps=self.options.eps, rule=self.options.rule)

    def for_subset(self, sets: Mapping[str, ImageSet]) -> "Whitener":
        """What whitens some classes of the data set."""
        return self if self.options.scope == "train" else Whitener(sets, self.kind, self.options)

    def digest(self) -> str:
        """SHA-256 of the images that a training's are whitened by."""
        return hashlib.sha256(self.sets["train"].images.contiguous().numpy().tobytes()).hexdigest()


@torch.no_grad()
def whitened(images: Tensor, whitening: Whitening, channels_last: bool) -> Tensor:
    """All of uint8 (N, C, H, W) as float32 on the whitening's device, some at a time."""
    layout = torch.channels_last if channels_last else torch.contiguous_format
    made = torch.empty(images.shape, device=whitening.mean.device, memory_format=layout)
    for into, chunk in zip(made.split(BATCH), images.split(BATCH), strict=True):
        into.copy_(whitening(chunk.to(made.device) / 255))
    return made
