"""Colour sets that torchvision fetches: CIFAR-10, CIFAR-100, SVHN and Imagenette, as uint8 tensors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from src.core.errors import UserError
from src.data.image_set import ImageSet, Splits
from src.data.sources.class_names import CIFAR10, CIFAR100, CIFAR100_PARENT, CIFAR100_SUPERCLASSES, DIGITS
from src.data.sources.downloading import fetch
from src.data.sources.fitting import check, fit
from src.data.sources.image_folder import read_classes

_ARCHIVES = {"full": "imagenette2", "320px": "imagenette2-320", "160px": "imagenette2-160"}
_IMAGENETTE = {
    "n01440764": "tench",
    "n02102040": "english springer",
    "n02979186": "cassette player",
    "n03000684": "chain saw",
    "n03028079": "church",
    "n03394916": "french horn",
    "n03417042": "garbage truck",
    "n03425413": "gas pump",
    "n03445777": "golf ball",
    "n03888257": "parachute",
}


def cifar10(*, root: str, download: bool = True, size: int | None = None, channels: int = 3) -> Splits:
    """CIFAR-10, 50,000 + 10,000 images, 32x32.

    Args:
        root: folder that holds ``cifar-10-batches-py``, or is to hold it.
        download: fetch what is missing.
        size: side in pixels (None: 32).
        channels: 3, or 1 for grey.

    Raises:
        UserError: files are missing and cannot be fetched, or are damaged.
    """

    def read(kind: Any, place: str) -> Splits:
        train, test = (kind(place, train=train, download=download) for train in (True, False))
        return Splits(*(_batch(part, CIFAR10, None, size, channels) for part in (train, test)))

    return fetch("CIFAR10", root, download, read)


def cifar100(*, root: str, download: bool = True, size: int | None = None, channels: int = 3) -> Splits:
    """CIFAR-100 with its superclasses; options as of `cifar10`."""
    superclasses = tuple(CIFAR100_SUPERCLASSES[parent] for parent in CIFAR100_PARENT)

    def read(kind: Any, place: str) -> Splits:
        train, test = (kind(place, train=train, download=download) for train in (True, False))
        return Splits(*(_batch(part, CIFAR100, superclasses, size, channels) for part in (train, test)))

    return fetch("CIFAR100", root, download, read)


def _batch(
    part: Any, classes: tuple[str, ...], superclasses: tuple[str, ...] | None, size: int | None, channels: int
) -> ImageSet:
    images = torch.from_numpy(part.data).permute(0, 3, 1, 2).contiguous()
    return ImageSet(fit(images, size, channels), torch.tensor(part.targets), classes, superclasses)


def svhn(*, root: str, download: bool = True, size: int | None = None, channels: int = 3) -> Splits:
    """Street View House Numbers, 73,257 + 26,032 digits, 32x32; options as of `cifar10`. Needs scipy."""

    def read(kind: Any, place: str) -> Splits:
        parts = [kind(place, split=split, download=download) for split in ("train", "test")]
        return Splits(
            *(
                ImageSet(fit(torch.from_numpy(part.data), size, channels), torch.tensor(part.labels).long(), DIGITS)
                for part in parts
            )
        )

    return fetch("SVHN", root, download, read)


def imagenette(
    *, root: str, download: bool = True, size: int = 128, channels: int = 3, archive: str = "160px"
) -> Splits:
    """Imagenette 2, 9,469 + 3,925 photographs of ten ImageNet classes.

    Args:
        root: folder that holds ``imagenette2-160`` (or as `archive` says), or is to hold it.
        download: fetch what is missing.
        size: side in pixels.
        channels: 3, or 1 for grey.
        archive: 160px, 320px or full.
    """
    check(size, channels)
    if archive not in _ARCHIVES:
        raise UserError(f"data.source.archive={archive}: allowed are {', '.join(_ARCHIVES)}")
    place = Path(root) / _ARCHIVES[archive]
    if not place.is_dir():
        fetch("Imagenette", root, download, lambda kind, at: kind(at, size=archive, download=download))
    train, test = read_classes(place / "train", size, channels), read_classes(place / "val", size, channels)

    def named(part: ImageSet) -> ImageSet:
        return ImageSet(part.images, part.labels, tuple(_IMAGENETTE.get(name, name) for name in part.classes))

    return Splits(named(train), named(test))
