"""Tiny image sets shared by the tests of the data room."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from src.data.image_set import ImageSet

MakeSet = Callable[..., ImageSet]


def of_class(images: ImageSet, label: int) -> ImageSet:
    """Only the images of one class."""
    return images.select(images.labels == label)


@pytest.fixture
def make_set() -> MakeSet:
    """Random images, every class equally often, interleaved."""

    def make(
        per_class: int = 10, classes: int = 3, size: int = 6, channels: int = 3, seed: int = 0, prefix: str = "c"
    ) -> ImageSet:
        generator = torch.Generator().manual_seed(seed)
        count = per_class * classes
        return ImageSet(
            images=torch.randint(0, 256, (count, channels, size, size), dtype=torch.uint8, generator=generator),
            labels=torch.arange(count) % classes,
            classes=tuple(f"{prefix}{number}" for number in range(classes)),
            superclasses=tuple(f"s{number % 2}" for number in range(classes)),
            factors={"number": torch.arange(count)},
        )

    return make
