"""Parquet files that look like CIFAR-10 and CIFAR-100 on the hub: random images, just as many as the recipes skip."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image


def write_fake_cifar(folder: Path, skipped: int = 1600) -> None:
    """``cifar10.parquet`` (column split), ``cifar100_train.parquet`` and ``cifar100_test.parquet``."""
    draw = np.random.default_rng(0)
    folder.mkdir(parents=True, exist_ok=True)
    _write(
        folder / "cifar10.parquet",
        [*_rows(draw, range(10), skipped + 30, "train"), *_rows(draw, range(10), 12, "test")],
    )
    for name, count in (("train", 30), ("test", 12)):
        rows = [
            {"img": row["img"], "fine_label": row["label"], "coarse_label": row["label"] % 20}
            for row in _rows(draw, range(100), count, name)
        ]
        _write(folder / f"cifar100_{name}.parquet", rows)


def _rows(draw: np.random.Generator, classes: range, count: int, split: str) -> list[dict]:
    """A class is a colour; images that are skipped may be the same, as nobody decodes them."""
    rows = []
    for label in classes:
        base = draw.integers(0, 200, 3)
        for index in range(count):
            if index < 30 or index >= count - 30:
                pixels = (base + draw.integers(0, 55, (32, 32, 3))).astype(np.uint8)
                file = io.BytesIO()
                Image.fromarray(pixels).save(file, "BMP")
            rows.append({"img": {"bytes": file.getvalue(), "path": None}, "label": label, "split": split})
    return rows


def _write(path: Path, rows: list[dict]) -> None:
    pq.write_table(pa.Table.from_pylist(rows), path)
