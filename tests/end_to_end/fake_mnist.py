"""Files that look like MNIST: random images, a class is where they are bright."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np


def write_fake_mnist(folder: Path) -> None:
    """Images and labels of both splits as plain idx files, 30 and 12 images per class."""
    draw = np.random.default_rng(0)
    folder.mkdir(parents=True, exist_ok=True)
    for prefix, count in (("train", 300), ("t10k", 120)):
        labels = np.arange(count, dtype=np.uint8) % 10
        images = draw.integers(0, 60, (count, 28, 28), dtype=np.uint8)
        for image, label in zip(images, labels, strict=True):
            top, left = 14 * (label // 5), 5 * (label % 5)
            image[top : top + 14, left : left + 5] += 150
        for kind, values in (("images-idx3", images), ("labels-idx1", labels)):
            head = struct.pack(f">HBB{values.ndim}I", 0, 8, values.ndim, *values.shape)
            (folder / f"{prefix}-{kind}-ubyte").write_bytes(head + values.tobytes())
