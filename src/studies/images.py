"""The test images that a study is made on, where it is not made on all of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from src.data.image_set import ImageSet
from src.data.ranks import rank_within_class

if TYPE_CHECKING:
    from src.report.session import Session


def chosen_images(images: ImageSet, count: int | None) -> Tensor:
    """Positions of ``count`` images, ascending: the first of each class in turn, for sets come sorted; None: all."""
    if count is None or count >= len(images):
        return torch.arange(len(images))
    order = (rank_within_class(images.labels) * len(images.classes) + images.labels).argsort(stable=True)
    return order[:count].sort().values


def fewer_images(test: ImageSet, count: int | None, session: Session) -> ImageSet:
    """The chosen ones of the test images; that some are left out is an event."""
    images = test.select(chosen_images(test, count))
    if len(images) < len(test):
        session.event(f"study.images={len(images)}: {len(images)} of {len(test)} test images")
    return images
