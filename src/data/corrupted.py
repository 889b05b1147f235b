"""Published corrupted images: the .npy files of CIFAR-10-C and CIFAR-100-C, and the folders of ImageNet-C.

Hendrycks and Dietterich, ICLR 2019 (arXiv:1903.12261). CIFAR: ``NAME.npy``, uint8 (5 N, 32, 32, 3), the N test images
at severity 1, then 2 ..., and ``labels.npy`` (5 N,). ImageNet: ``NAME/SEVERITY/WNID/*.JPEG``.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from src.core.configuration import first_line
from src.core.errors import UserError
from src.data.image_set import ImageSet
from src.data.listing import files_below
from src.data.sources.fitting import decode, stacked

SEVERITIES = 5


def read_cifar_c(folder: Path, name: str, severity: int, labels: Tensor) -> Tensor:
    """The images of one corruption at one severity, uint8 (N, C, H, W); only they are read from the file.

    The file's labels are compared with those of the clean test images, int64 (N,).

    Raises:
        UserError: a file is missing or is no such file, or counts or labels do not agree.
    """
    source, answers = folder / f"{name}.npy", folder / "labels.npy"
    images, numbers = _array(source), _array(answers)
    if images.dtype != np.uint8 or images.ndim != 4 or images.shape[3] not in (1, 3):
        raise UserError(f"{source}: holds {images.dtype} {images.shape}, expected uint8 (5 N, H, W, 3)")
    if len(images) % SEVERITIES or numbers.shape != (len(images),):
        raise UserError(
            f"{source}: {len(images)} images for {numbers.size} labels; expected as many of both, and five severities"
        )
    if not np.issubdtype(numbers.dtype, np.integer):
        raise UserError(f"{answers}: holds {numbers.dtype}, expected whole numbers")
    count = len(images) // SEVERITIES
    rows = slice((severity - 1) * count, severity * count)
    if not np.array_equal(labels.cpu().numpy(), numbers[rows]):
        raise UserError(
            f"{answers}: the labels of severity {severity} are not those of the {len(labels)} test "
            "images; check that it is of the same data set, in the official order"
        )
    return torch.from_numpy(np.ascontiguousarray(np.moveaxis(images[rows], 3, 1)))


def read_imagenet_c(
    folder: Path, name: str, severity: int, classes: Sequence[str], size: int, *, batch: int
) -> Iterator[ImageSet]:
    """The images of one corruption at one severity, decoded batch by batch, class after class.

    Args:
        classes: names of the folders; they become labels 0, 1, ...; other folders are left out.
        size: side in pixels: shorter side resized, middle cut out.
        batch: images at most in each set.

    Raises:
        UserError: a folder is missing or holds no images, or an image cannot be read.
    """
    place = folder / name / str(severity)
    files: list[tuple[Path, int]] = []
    for label, word in enumerate(classes):
        images = sorted(files_below(place / word, {".jpeg", ".jpg"})) if (place / word).is_dir() else []
        if not images:
            raise UserError(f"{place / word}: no such folder with JPEG images; expected one for each class")
        files += [(path, label) for path in images]
    for begin in range(0, len(files), batch):
        paths, labels = zip(*files[begin : begin + batch], strict=True)
        decoded = stacked((decode(path, str(path), size, 3) for path in paths), len(paths), str(place))
        yield ImageSet(decoded, torch.tensor(labels), tuple(classes))


def _array(path: Path) -> NDArray[np.generic]:
    if not path.is_file():
        raise UserError(f"{path}: no such file")
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except Exception as error:  # numpy evaluates a header, and raises whatever it meets
        raise UserError(f"{path}: not a whole .npy file ({first_line(error)[:120]})") from error
    if not isinstance(array, np.ndarray):
        raise UserError(f"{path}: not a .npy file of one array")
    return array
