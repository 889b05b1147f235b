"""Corrupted images as others published them, in the order of the clean images that a network is measured on."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from src.artifacts.pretrained import wordnet_numbers
from src.core.errors import UserError
from src.data.class_names import imagenet_classes
from src.data.corrupted import read_cifar_c, read_imagenet_c
from src.data.file_images import FileImages
from src.data.image_set import ImageSet
from src.data.listing import files_below
from src.studies.robustness.shifted import Reader

LABELS = "labels.npy"  # stands beside the files of CIFAR-10-C alone


def check_published(folder: Path, corruptions: Sequence[str], severities: Sequence[int], where: str = "study") -> None:
    """Refuse a folder that lacks a corruption; what is in its files is looked at when they are read.

    Args:
        where: section of the configuration that names the folder.

    Raises:
        UserError: there is no such folder, or a file or a folder of it is missing.
    """
    if not folder.is_dir():
        raise UserError(f"{where}.files={folder}: no such folder; name one that holds CIFAR-10-C or ImageNet-C")
    if (folder / LABELS).is_file():
        missing = [f"{name}.npy" for name in corruptions if not (folder / f"{name}.npy").is_file()]
    else:
        wanted = [f"{name}/{severity}" for name in corruptions for severity in severities]
        missing = [place for place in wanted if not (folder / place).is_dir()]
        if len(missing) == len(wanted):
            raise UserError(
                f"{where}.files={folder}: has neither {LABELS} (CIFAR-10-C) nor folders such as {missing[0]} "
                "(ImageNet-C)"
            )
    if missing:
        raise UserError(
            f"{where}.files={folder}: has no {missing[0]}; add it, or name those that are there by {where}.corruptions "
            f"and {where}.severities"
        )


def published(
    folder: Path, test: ImageSet, chosen: Tensor, batch: int, *, side: int | None = None, where: str = "study"
) -> Reader:
    """Reads the files of CIFAR-10-C or CIFAR-100-C, or folders as ImageNet-C has them.

    Args:
        folder: with ``labels.npy`` and ``NAME.npy``, or with ``NAME/SEVERITY/CLASS/*.JPEG``.
        test: all clean test images, in the order of the files; labels are compared. Where they are files themselves,
            those of the same names are taken.
        chosen: int64, ascending: positions of those that are measured.
        side: of images in folders, in pixels: what the networks take, where they take a crop of a clean image; None:
            that of the clean images.
        where: section of the configuration that names the folder.
    """

    images: Any = test.images

    def read(name: str, severity: int) -> Iterable[Tensor]:
        if (folder / LABELS).is_file():
            return read_cifar_c(folder, name, severity, test.labels)[chosen].split(batch)
        if isinstance(images, FileImages):
            return _of_the_same_names(folder / name / str(severity), images[chosen], side, where).split(batch)
        return _stream(folder, name, severity, test, chosen, batch, where)

    return read


def _of_the_same_names(place: Path, clean: FileImages, side: int | None, where: str) -> FileImages:
    """The files below ``place`` that are called like the clean ones, in a folder of their class or, there, in none.

    Raises:
        UserError: one is missing.
    """
    names = [Path(file).relative_to(Path(file).parts[0]) for file in clean.files]  # without the folder of the part
    if any(len(name.parts) == 1 for name in names):  # the clean ones lie in no folder of their class
        below = {path.name: path.relative_to(place) for path in files_below(place)}
        names = [below.get(name.name, name) for name in names]
    missing = next((name for name in names if not (place / name).is_file()), None)
    if missing is not None:
        raise UserError(f"{where}.files: {place} has no {missing}, which is a test image; add it, or fetch it anew")
    return replace(clean, root=str(place), files=list(map(str, names)), side=side or clean.side)


def _stream(
    folder: Path, name: str, severity: int, test: ImageSet, chosen: Tensor, batch: int, where: str
) -> Iterator[Tensor]:
    """Only a batch of the decoded images is held at once.

    Raises:
        UserError: the folders' images are not as many of each class as the clean ones, or in another order.
    """
    if test.shape[1] != test.shape[2]:
        raise UserError(f"{where}.files: images of {test.shape} are not square; set data.source.size, e.g. size=224")
    known = test.classes
    if tuple(known) == imagenet_classes():
        known = wordnet_numbers()
        if not known:
            raise UserError(f"{where}.files: ImageNet's folders are found by timm; install the extra `zoo`")
    numbers = test.labels.unique()
    begin, fitting = 0, True
    for part in read_imagenet_c(folder, name, severity, [known[k] for k in numbers], test.shape[1], batch=batch):
        fitting = torch.equal(numbers[part.labels], test.labels[begin : begin + len(part)])
        if not fitting:
            break
        positions = chosen[(chosen >= begin) & (chosen < begin + len(part))] - begin
        begin += len(part)
        if len(positions):
            yield part.images[positions]
    if not fitting or begin != len(test):
        raise UserError(
            f"{where}.files: {folder / name} has not the {len(test)} clean images in their order, class by class; "
            "give the same images, corrupted, and all of the clean ones as test images"
        )
