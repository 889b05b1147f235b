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
    """Positions of ``count`` images, ascending; None: all.

    The first of each class in turn, for sets come sorted. Of a round that is not whole every so many-th class: the
    first classes are often alike, as ImageNet's are fish and birds.
    """
    if count is None or count >= len(images):
        return torch.arange(len(images))
    labels = images.labels.cpu()
    ranks = rank_within_class(labels)
    order = (ranks * len(images.classes) + labels).argsort(stable=True)
    last = ranks[order[count]]  # of the first image that is too many
    whole, asked = order[ranks[order] < last], order[ranks[order] == last]
    left = count - len(whole)
    return torch.cat([whole, asked[torch.arange(left) * len(asked) // max(1, left)]]).sort().values


def fewer_images(test: ImageSet, count: int | None, session: Session) -> ImageSet:
    """The chosen ones of the test images; that some are left out is an event."""
    images = test.select(chosen_images(test, count))
    if len(images) < len(test):
        session.event(f"study.images={len(images)}: {len(images)} of {len(test)} test images")
    return images
