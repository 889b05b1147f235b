"""Mean and standard deviation per channel, measured on the training part or as published; whitenings of parts.

With contrast ``global`` every image is first brought to mean 0 and standard deviation 1 (`augment.global_contrast`);
with ``per_pixel`` and ``zca`` all images are whitened first (`src.imageops.whitening`).
"""

import hashlib
from collections.abc import Mapping
from typing import Annotated, Any, Literal

import torch
from annotated_types import Gt
from torch import Tensor

from src.core.errors import UserError, suggestion
from src.core.options import options
from src.data.augment import channel_statistics
from src.data.class_names import PUBLISHED
from src.data.image_set import ImageSet
from src.imageops.whitening import WHITENINGS, Rule, Whitening

CONTRASTS = ("none", "global", *WHITENINGS)
BATCH = 2048  # images that are whitened at once


def statistics(
    wanted: str | Mapping[str, Any], train: Tensor, contrast: str = "none"
) -> tuple[list[float], list[float]]:
    """Mean and std, one value per channel.

    Args:
        wanted: ``train``, a name of `PUBLISHED`, or a mapping with mean and std (numbers, or one per channel).
        train: uint8 (N, C, H, W).
        contrast: ``none``, ``global`` or a whitening: what is done to every image before. After a whitening there is
            nothing left to measure: ``train`` is mean 0 and std 1.

    Raises:
        UserError: unknown name, missing key, wrong number of channels, a std that is not positive, or statistics of
            a data set for images of another contrast.
    """
    if wanted == "train" and contrast in WHITENINGS:
        wanted = "none"
    if wanted == "train":
        return channel_statistics(train, contrast)
    if isinstance(wanted, str):
        if wanted not in PUBLISHED:
            raise UserError(f"data.normalisation={wanted}: no such name; {suggestion(wanted, ['train', *PUBLISHED])}")
        if contrast != "none" and wanted not in ("half", "none"):
            raise UserError(
                f"data.normalisation={wanted}: was measured without data.contrast={contrast}; take train or none"
            )
        mean, std = PUBLISHED[wanted]
    else:
        if set(wanted) != {"mean", "std"}:
            raise UserError(f"data.normalisation: has {', '.join(map(str, wanted))}; expected mean and std")
        mean, std = (
            tuple(map(float, (given,) if isinstance(given, int | float) else given))
            for given in (wanted["mean"], wanted["std"])
        )
    channels = train.shape[1]
    if {len(mean), len(std)} - {1, channels}:
        raise UserError(f"data.normalisation={wanted}: {len(mean)} channels, but the images have {channels}")
    if min(std) <= 0:
        raise UserError(f"data.normalisation.std={list(std)}: has to be positive")
    return list(mean) * (channels // len(mean)), list(std) * (channels // len(std))


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
def whitened(images: Tensor, whitening: Whitening) -> Tensor:
    """All of uint8 (N, C, H, W) as float32 on the whitening's device, some at a time."""
    made = torch.empty(images.shape, device=whitening.mean.device, memory_format=torch.channels_last)
    for into, chunk in zip(made.split(BATCH), images.split(BATCH), strict=True):
        into.copy_(whitening(chunk.to(made.device) / 255))
    return made
