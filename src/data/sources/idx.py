"""MNIST and its relatives, read from plain idx files: as torchvision lays them out, or lying in the root itself.

The files may be gzipped or not, and packed by anyone: the content is checked, not the checksum of the archive.
"""

from __future__ import annotations

import gzip
import struct
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from src.core.errors import UserError
from src.data.image_set import ImageSet, Splits
from src.data.sources.class_names import DIGITS, FASHION, KUZUSHIJI
from src.data.sources.downloading import fetch
from src.data.sources.fitting import fit

_FILES = {"train": "train", "test": "t10k"}


def mnist(*, root: str, download: bool = True, size: int | None = None, channels: int = 1) -> Splits:
    """MNIST, 60,000 + 10,000 handwritten digits, 28x28 grey.

    Args:
        root: folder that holds the idx files, or ``MNIST/raw`` with them, or is to hold that.
        download: fetch what is missing.
        size: side in pixels (None: 28).
        channels: 1, or 3 equal ones.

    Raises:
        UserError: files are missing and cannot be fetched, or are damaged.
    """
    return _load("MNIST", DIGITS, root, download, size, channels)


def fashion_mnist(*, root: str, download: bool = True, size: int | None = None, channels: int = 1) -> Splits:
    """Fashion-MNIST; options as of `mnist`, folder ``FashionMNIST/raw``."""
    return _load("FashionMNIST", FASHION, root, download, size, channels)


def kmnist(*, root: str, download: bool = True, size: int | None = None, channels: int = 1) -> Splits:
    """Kuzushiji-MNIST; options as of `mnist`, folder ``KMNIST/raw``."""
    return _load("KMNIST", KUZUSHIJI, root, download, size, channels)


def _load(folder: str, classes: Sequence[str], root: str, download: bool, size: int | None, channels: int) -> Splits:
    paths = {split: _find(folder, Path(root), prefix) for split, prefix in _FILES.items()}
    if not all(paths.values()):
        fetch(folder, root, download, lambda kind, place: kind(place, download=download))
        paths = {split: _find(folder, Path(root), prefix) for split, prefix in _FILES.items()}
    sets = []
    for found in paths.values():
        if found is None:
            raise UserError(f"data.source.root={root}: no idx files of {folder} there")
        images, labels = read_idx(found[0]), read_idx(found[1]).long()
        if images.dim() != 3 or len(images) != len(labels) or (len(labels) and int(labels.max()) >= len(classes)):
            raise UserError(f"{found[0].parent}: images and labels do not belong together; fetch the files anew")
        sets.append(ImageSet(fit(images.unsqueeze(1), size, channels), labels, tuple(classes)))
    return Splits(*sets)


def _find(folder: str, root: Path, prefix: str) -> tuple[Path, Path] | None:
    """Image and label file of one split, or None."""
    for place in (root / folder / "raw", root):
        for ending in ("", ".gz"):
            images = place / f"{prefix}-images-idx3-ubyte{ending}"
            labels = place / f"{prefix}-labels-idx1-ubyte{ending}"
            if images.is_file() and labels.is_file():
                return images, labels
    return None


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
        if zeros != 0 or kind != 8 or values.size != int(np.prod(shape, dtype=np.int64)):
            raise ValueError("its header does not fit its content")
    except (OSError, EOFError, zlib.error, struct.error, ValueError) as error:
        raise UserError(f"{path}: not a whole idx file ({error}); remove it, it is then fetched anew") from error
    return torch.from_numpy(values.copy()).view(shape)
