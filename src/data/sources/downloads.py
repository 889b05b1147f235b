"""Colour sets that torchvision fetches: CIFAR-10, CIFAR-100, SVHN and Imagenette, as uint8 tensors."""

import socket
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, TypeVar

import torch

from src.core.errors import UserError
from src.core.options import Count, options
from src.data.class_names import CIFAR10, CIFAR100, CIFAR100_PARENT, CIFAR100_SUPERCLASSES, DIGITS
from src.data.image_set import ImageSet, Splits
from src.data.sources.fitting import fit
from src.data.sources.image_folder import read_classes
from src.data.sources.options import Downloaded

T = TypeVar("T")
_PATIENCE = 30.0  # seconds without a byte; torchvision itself waits for ever
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


def cifar10(options: Downloaded) -> Splits:
    """50,000 + 10,000 images, 32x32."""
    return _cifar("CIFAR10", options, CIFAR10)


def cifar100(options: Downloaded) -> Splits:
    """The same of a hundred classes, with their superclasses."""
    return _cifar("CIFAR100", options, CIFAR100, tuple(CIFAR100_SUPERCLASSES[parent] for parent in CIFAR100_PARENT))


def _cifar(
    name: str, options: Downloaded, classes: tuple[str, ...], superclasses: tuple[str, ...] | None = None
) -> Splits:
    def read(kind: Any) -> Splits:
        sets = []
        for part in (kind(options.root, train=train, download=options.download) for train in (True, False)):
            images = torch.from_numpy(part.data).permute(0, 3, 1, 2).contiguous()
            images = fit(images, options.size, options.channels)
            sets.append(ImageSet(images, torch.tensor(part.targets), classes, superclasses))
        return Splits(*sets)

    return fetch(name, options, read)


def svhn(options: Downloaded) -> Splits:
    """Street View House Numbers, 73,257 + 26,032 digits, 32x32. Needs scipy."""

    def read(kind: Any) -> Splits:
        sets = []
        for part in (kind(options.root, split=split, download=options.download) for split in ("train", "test")):
            images = fit(torch.from_numpy(part.data), options.size, options.channels)
            sets.append(ImageSet(images, torch.tensor(part.labels).long(), DIGITS))
        return Splits(*sets)

    return fetch("SVHN", options, read)


@options
class Imagenette(Downloaded):
    """Of Imagenette, in the folder ``imagenette2-160`` or as ``archive`` says."""

    size: Count = 128
    archive: Literal["full", "320px", "160px"] = "160px"


def imagenette(options: Imagenette) -> Splits:
    """Imagenette 2, 9,469 + 3,925 photographs of ten ImageNet classes."""
    place = Path(options.root) / _ARCHIVES[options.archive]
    if not place.is_dir():
        fetch("Imagenette", options, lambda kind: kind(options.root, size=options.archive, download=options.download))
    from src.data.sources.pictures import Pictures

    shape = Pictures(size=options.size, channels=options.channels)
    parts = (read_classes(place / part, shape) for part in ("train", "val"))
    return Splits(
        *(replace(part, classes=tuple(_IMAGENETTE.get(name, name) for name in part.classes)) for part in parts)
    )


def fetch(name: str, options: Downloaded, build: Callable[[Any], T]) -> T:
    """``build(torchvision.datasets.<name>)``, every failure of which becomes one line.

    Raises:
        UserError: files are missing and not to be fetched, or cannot be, or are damaged.
    """
    from torchvision import datasets

    place = f"data.source.root={options.root}"
    if not options.download and not Path(options.root).is_dir():
        raise UserError(f"{place}: no such folder; set data.source.download=true to fetch {name} into it")
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(_PATIENCE)
    try:
        return build(getattr(datasets, name))
    except (RuntimeError, OSError, EOFError, ValueError, ImportError) as error:
        reason = " ".join(str(error).split())[:160]
        remedy = "put its files there, or try again with a network"
        remedy = remedy if options.download else "set data.source.download=true"
        raise UserError(
            f"{place}: {name} is not there, or damaged, and was not fetched ({reason}); {remedy}"
        ) from error
    finally:
        socket.setdefaulttimeout(before)
