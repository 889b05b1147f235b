"""Parquet files that look like SVHN on the hub: random images, a class is a shade."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image


def write_fake_svhn(folder: Path) -> None:
    """``svhn_train.parquet`` and ``svhn_test.parquet``, 30 and 12 images of each digit."""
    draw = np.random.default_rng(0)
    folder.mkdir(parents=True, exist_ok=True)
    for name, count in (("train", 30), ("test", 12)):
        rows = []
        for label in range(10):
            for _ in range(count):
                pixels = (20 * label + draw.integers(0, 55, (32, 32, 3))).astype(np.uint8)
                file = io.BytesIO()
                Image.fromarray(pixels).save(file, "BMP")
                rows.append({"image": {"bytes": file.getvalue(), "path": None}, "label": label})
        pq.write_table(pa.Table.from_pylist(rows), folder / f"svhn_{name}.parquet")
