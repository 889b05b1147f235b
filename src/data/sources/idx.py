"""MNIST and its relatives, read from plain idx files: as torchvision lays them out, or lying in the root itself.

The files may be gzipped or not, and packed by anyone: the content is checked, not the checksum of the archive.
"""

import gzip
import struct
import zlib
from math import prod
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from src.core.errors import UserError
from src.core.options import options
from src.data.class_names import DIGITS, FASHION, KUZUSHIJI
from src.data.image_set import ImageSet, Splits
from src.data.sources.downloads import fetch
from src.data.sources.fitting import fit
from src.data.sources.options import Channels, Downloaded


@options
class Grey(Downloaded):
    """60,000 + 10,000 images, 28x28 grey, in the root or in a folder of it such as ``MNIST/raw``."""

    channels: Channels = 1


def mnist(options: Grey) -> Splits:
    """Handwritten digits."""
    return _load("MNIST", DIGITS, options)


def fashion_mnist(options: Grey) -> Splits:
    """Clothes, folder ``FashionMNIST/raw``."""
    return _load("FashionMNIST", FASHION, options)


def kmnist(options: Grey) -> Splits:
    """Cursive Japanese, folder ``KMNIST/raw``."""
    return _load("KMNIST", KUZUSHIJI, options)


def _load(folder: str, classes: tuple[str, ...], options: Grey) -> Splits:
    root = Path(options.root)
    if not all(_files(folder, root, prefix) for prefix in ("train", "t10k")):
        fetch(folder, options, lambda kind: kind(options.root, download=options.download))
    sets = []
    for prefix in ("train", "t10k"):
        files = _files(folder, root, prefix)
        if not files:
            raise UserError(f"data.source.root={options.root}: no idx files of {folder} there")
        images, labels = read_idx(files[0]), read_idx(files[1]).long()
        fitting = images.dim() == 3 and labels.dim() == 1 and len(images) == len(labels) > 0
        if not fitting or min(images.shape) < 1 or int(labels.max()) >= len(classes):
            raise UserError(f"{files[0].parent}: images and labels do not belong together; fetch the files anew")
        sets.append(ImageSet(fit(images.unsqueeze(1), options.size, options.channels), labels, classes))
    return Splits(*sets)


def _files(folder: str, root: Path, prefix: str) -> list[Path]:
    """Image and label file of one part, or nothing."""
    for place in (root / folder / "raw", root):
        for ending in ("", ".gz"):
            files = [place / f"{prefix}-{kind}-ubyte{ending}" for kind in ("images-idx3", "labels-idx1")]
            if all(file.is_file() for file in files):
                return files
    return []


def read_idx(path: Path) -> Tensor:
    """An idx file of bytes, gzipped or not -> uint8 tensor of the shape it declares.

    Raises:
        UserError: the file is no such file, or is cut short.
    """
    try:
        content = path.read_bytes()
        if content[:2] == b"\x1f\x8b":
            content = gzip.decompress(content)
        zeros, kind, dimensions = struct.unpack(">HBB", content[:4])
        shape = struct.unpack(f">{dimensions}I", content[4 : 4 + 4 * dimensions])
        values = np.frombuffer(content, np.uint8, offset=4 + 4 * dimensions)
        if zeros != 0 or kind != 8 or values.size != prod(shape):
            raise ValueError("its header does not fit its content")
    except (OSError, EOFError, zlib.error, struct.error, ValueError) as error:
        raise UserError(f"{path}: not a whole idx file ({error}); remove it, it is then fetched anew") from error
    return torch.from_numpy(values.copy()).view(shape)
