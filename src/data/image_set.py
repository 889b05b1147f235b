"""Labelled images in memory: what every source returns and every later step of the data room takes and gives."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from torch import Tensor

from src.core.shown import Shown


@dataclass(frozen=True, eq=False)
class ImageSet(Shown):
    """N images with their labels and, where the source knows them, the truth about what made each image.

    Args:
        images: uint8 (N, C, H, W).
        labels: int64 (N,), in ``range(len(classes))``.
        classes: one name per label.
        superclasses: one name per class (the class hierarchy), or None.
        masks: uint8 (N, H, W), 1 where the object is visible, or None.
        factors: name -> (N,) tensor of a generating factor (texture, hue, rotation ...), or None.
        events: one line for everything that the source left out.

    Raises:
        ValueError: types, shapes or labels do not agree.
    """

    images: Tensor
    labels: Tensor
    classes: tuple[str, ...]
    superclasses: tuple[str, ...] | None = None
    masks: Tensor | None = None
    factors: dict[str, Tensor] | None = None
    events: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        count = len(self.images)
        if self.images.dtype != torch.uint8 or self.images.dim() != 4:
            raise ValueError(f"images: {self.images.dtype} {tuple(self.images.shape)}, expected uint8 (N, C, H, W)")
        if self.labels.dtype != torch.int64 or self.labels.shape != (count,):
            raise ValueError(f"labels: {self.labels.dtype} {tuple(self.labels.shape)}, expected int64 ({count},)")
        if count and (int(self.labels.min()) < 0 or int(self.labels.max()) >= len(self.classes)):
            raise ValueError(f"labels: outside 0..{len(self.classes) - 1}")
        if self.superclasses is not None and len(self.superclasses) != len(self.classes):
            raise ValueError(f"superclasses: {len(self.superclasses)} for {len(self.classes)} classes")
        extras = {"masks": self.masks, **(self.factors or {})}
        for name, values in extras.items():
            if values is not None and len(values) != count:
                raise ValueError(f"{name}: {len(values)} rows for {count} images")

    def __len__(self) -> int:
        return len(self.images)

    @property
    def shape(self) -> tuple[int, int, int]:
        """(C, H, W) of one image."""
        channels, height, width = self.images.shape[1:]
        return int(channels), int(height), int(width)

    @property
    def per_class(self) -> Tensor:
        """int64 (classes,): how many images each class has."""
        return torch.bincount(self.labels, minlength=len(self.classes))

    def select(self, index: Tensor) -> "ImageSet":
        """The images at ``index`` (int64 (M,) positions in any order, or bool (N,)); classes keep their numbers."""
        masks = None if self.masks is None else self.masks[index]
        factors = None if self.factors is None else {name: values[index] for name, values in self.factors.items()}
        return replace(self, images=self.images[index], labels=self.labels[index], masks=masks, factors=factors)


class Splits(NamedTuple):
    """What a source returns: a pool to train on and a test set, over the same classes."""

    train: ImageSet
    test: ImageSet


def concatenate(sets: Sequence[ImageSet]) -> ImageSet:
    """The images of several sets over the same classes, one after another; truth that not all sets have is dropped.

    Raises:
        ValueError: classes or image shapes differ.
    """
    first = sets[0]
    for other in sets[1:]:
        if other.classes != first.classes or other.shape != first.shape:
            raise ValueError(f"sets differ: {first.shape} {first.classes} and {other.shape} {other.classes}")
    masks = [part.masks for part in sets if part.masks is not None]
    factors = [part.factors for part in sets if part.factors is not None]
    shared = set.intersection(*(set(part) for part in factors)) if len(factors) == len(sets) else set()
    return ImageSet(
        images=torch.cat([part.images for part in sets]),
        labels=torch.cat([part.labels for part in sets]),
        classes=first.classes,
        superclasses=first.superclasses,
        masks=torch.cat(masks) if len(masks) == len(sets) else None,
        factors={name: torch.cat([part[name] for part in factors]) for name in sorted(shared)} or None,
        events=tuple(dict.fromkeys(event for part in sets for event in part.events)),
    )
