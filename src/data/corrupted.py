"""Published corrupted images: the .npy files of CIFAR-10-C and CIFAR-100-C, and the folders of ImageNet-C.

Hendrycks and Dietterich, ICLR 2019 (arXiv:1903.12261). CIFAR: ``NAME.npy``, uint8 (5 N, 32, 32, 3), the N test images
at severity 1, then 2 ..., and ``labels.npy`` (5 N,). ImageNet: ``NAME/SEVERITY/WNID/*.JPEG``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from src.core.errors import UserError, suggestion
from src.data.image_set import ImageSet
from src.data.sources.fitting import check, decode, stacked

SEVERITIES = 5


def read_cifar_c(
    folder: str | Path,
    name: str,
    severity: int,
    *,
    classes: Sequence[str] | None = None,
    labels: Tensor | None = None,
) -> ImageSet:
    """The images of one corruption at one severity; only they are read from the file.

    Args:
        folder: with ``NAME.npy`` and ``labels.npy``.
        name: of the corruption, e.g. ``gaussian_noise``.
        severity: 1..5.
        classes: names; None: numbers, 10 or 100 by the labels.
        labels: int64 (N,) of the clean test images, which the file's are then compared with.

    Raises:
        UserError: a file is missing or is no such file, or counts or labels do not agree.
    """
    place = _folder(folder)
    _check_severity(severity)
    images, numbers = _array(place, name), _array(place, "labels")
    source = place / f"{name}.npy"
    if images.dtype != np.uint8 or images.ndim != 4 or images.shape[3] not in (1, 3):
        raise UserError(f"{source}: holds {images.dtype} {images.shape}, expected uint8 (5 N, H, W, 3)")
    if len(images) % SEVERITIES or numbers.shape != (len(images),):
        raise UserError(
            f"{source}: {len(images)} images for {numbers.size} labels; expected as many of both, and five severities"
        )
    if not np.issubdtype(numbers.dtype, np.integer):
        raise UserError(f"{place / 'labels.npy'}: holds {numbers.dtype}, expected whole numbers")
    count = len(images) // SEVERITIES
    begin = (severity - 1) * count
    own = torch.from_numpy(numbers[begin : begin + count].astype(np.int64))
    highest, lowest = (int(end) for end in (numbers.max(initial=0), numbers.min(initial=0)))
    words = tuple(classes) if classes is not None else tuple(str(number) for number in range(_usual(highest)))
    if highest >= len(words) or lowest < 0:
        raise UserError(f"{place / 'labels.npy'}: labels {lowest}..{highest} for {len(words)} classes; check classes")
    if labels is not None and not torch.equal(labels.cpu(), own):
        raise UserError(
            f"{place / 'labels.npy'}: the labels of severity {severity} are not those of the {len(labels)} test "
            "images; check that it is of the same data set, in the official order"
        )
    block = np.ascontiguousarray(np.moveaxis(images[begin : begin + count], 3, 1))
    return ImageSet(torch.from_numpy(block), own, words)


def read_imagenet_c(
    folder: str | Path,
    name: str,
    severity: int,
    classes: Sequence[str],
    size: int = 224,
    *,
    batch: int = 64,
) -> Iterator[ImageSet]:
    """The images of one corruption at one severity, decoded batch by batch, class after class.

    Args:
        folder: with ``NAME/SEVERITY/WNID/*.JPEG``.
        name: of the corruption.
        severity: 1..5.
        classes: names of the folders; they become labels 0, 1, ...; other folders are left out.
        size: side in pixels: shorter side resized, middle cut out.
        batch: images at most in each set.

    Raises:
        UserError: a folder is missing or holds no images, or an image cannot be read.
    """
    _check_severity(severity)
    check(size, 3)
    if batch < 1:
        raise UserError(f"batch={batch}: give 1 or more images")
    place = _folder(_folder(folder) / name, "corruption") / str(severity)
    files: list[tuple[Path, int]] = []
    for label, word in enumerate(classes):
        own = sorted(path for path in (place / word).glob("*") if path.suffix.lower() in (".jpeg", ".jpg"))
        if not own:
            raise UserError(f"{place / word}: no such folder with JPEG images; expected one for each class")
        files += [(path, label) for path in own]
    return _decoded(files, tuple(classes), size, batch, str(place))


def _decoded(
    files: list[tuple[Path, int]], classes: tuple[str, ...], size: int, batch: int, origin: str
) -> Iterator[ImageSet]:
    for begin in range(0, len(files), batch):
        part = files[begin : begin + batch]
        images = stacked((decode(path, str(path), size, 3) for path, _ in part), origin)
        yield ImageSet(images, torch.tensor([label for _, label in part]), classes)


def _folder(folder: str | Path, what: str = "") -> Path:
    place = Path(folder).expanduser()
    if place.is_dir():
        return place
    known = [path.name for path in place.parent.iterdir() if path.is_dir()] if what and place.parent.is_dir() else []
    raise UserError(f"{place}: no such folder" + (f"; {suggestion(place.name, known)}" if known else ""))


def _array(place: Path, name: str) -> NDArray[np.generic]:
    path = place / f"{name}.npy"
    if not path.is_file():
        known = [other.stem for other in place.glob("*.npy") if other.stem != "labels"]
        raise UserError(f"{path}: no such file; {suggestion(name, known) if known else 'the folder has no .npy files'}")
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, OSError, EOFError) as error:
        raise UserError(f"{path}: not a whole .npy file ({str(error).splitlines()[0][:120]})") from error
    if not isinstance(array, np.ndarray):
        raise UserError(f"{path}: not a .npy file of one array")
    return array


def _usual(highest: int) -> int:
    return 10 if highest < 10 else max(100, highest + 1)


def _check_severity(severity: int) -> None:
    if severity not in range(1, SEVERITIES + 1):
        raise UserError(f"severity={severity}: give a whole number from 1 to {SEVERITIES}")
