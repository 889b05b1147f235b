"""Images of none of the classes that a network knows."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from src.core.errors import UserError
from src.data.image_set import ImageSet
from src.data.opening import data_of
from src.data.sources.fitting import fit


def open_unknown(options: Mapping[str, Any], where: str) -> ImageSet:
    """The test images of a configuration of data.

    Args:
        where: its key, for messages.

    Raises:
        UserError: they cannot be opened.
    """
    data = data_of({**options, "augment": None}, where)
    data.setup()
    return data.sets["test"]


def check_unknown(unknown: ImageSet, classes: Sequence[str], where: str) -> None:
    """Refuse images of a class that the network knows.

    Args:
        classes: the network's.
        where: the key of the unknown images.

    Raises:
        UserError: one of their classes is among ``classes``.
    """
    same = sorted(set(unknown.classes) & set(classes))
    if same:
        raise UserError(
            f"{where}: its class '{same[0]}' is one of the network's; leave it out by {where}.classes=[...], or take "
            f"other data by data@{where}=..."
        )


def check_fitting(unknown: ImageSet, shape: tuple[int, int, int], where: str) -> None:
    """Refuse images that cannot be made (channels, height, width): only squares are resized.

    Raises:
        UserError: they cannot.
    """
    if unknown.shape != shape and shape[1] != shape[2]:
        raise UserError(f"{where}: images of {unknown.shape} cannot be made {shape}; take data of that size")


def fitted(unknown: ImageSet, shape: tuple[int, int, int], batch: int) -> ImageSet:
    """The images resized, and in the colours of ``shape`` (channels, height, width).

    Some are read at a time: of images in files only what is made of them is held.
    """
    if unknown.shape == shape:
        return unknown
    channels, height, _ = shape
    parts = [fit(part, height, channels) for part in unknown.images.split(batch)]
    return ImageSet(torch.cat(parts), unknown.labels, unknown.classes)
