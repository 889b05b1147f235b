from __future__ import annotations

import gzip
import struct
from pathlib import Path

import numpy as np
import pytest
import torch

from src.core.errors import UserError
from src.data.sources import load_source
from src.data.sources.idx import read_idx


def idx(values: np.ndarray) -> bytes:
    return struct.pack(f">HBB{values.ndim}I", 0, 8, values.ndim, *values.shape) + values.tobytes()


def write(folder: Path, *, packed: bool, count: int = 20) -> np.ndarray:
    folder.mkdir(parents=True, exist_ok=True)
    images = np.random.default_rng(0).integers(0, 256, (count, 28, 28), np.uint8)
    labels = np.arange(count, dtype=np.uint8) % 10
    for prefix in ("train", "t10k"):
        for kind, values in (("images-idx3", images), ("labels-idx1", labels)):
            content = gzip.compress(idx(values)) if packed else idx(values)
            (folder / f"{prefix}-{kind}-ubyte{'.gz' if packed else ''}").write_bytes(content)
    return images


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize(("name", "place"), [("mnist", "."), ("mnist", "MNIST/raw"), ("kmnist", "KMNIST/raw")])
def test_reads_both_layouts_packed_or_not(tmp_path: Path, packed: bool, name: str, place: str) -> None:
    images = write(tmp_path / place, packed=packed)
    train, test = load_source(name, {"root": str(tmp_path), "download": False})
    assert np.array_equal(train.images[:, 0].numpy(), images)
    assert test.labels.tolist() == [*range(10)] * 2
    assert len(train.classes) == 10


def test_resizes_and_colours(tmp_path: Path) -> None:
    write(tmp_path, packed=False)
    train, _ = load_source("fashion_mnist", {"root": str(tmp_path), "size": 32, "channels": 3})
    assert train.shape == (3, 32, 32) and train.images.dtype == torch.uint8


@pytest.mark.parametrize("packed", [True, False])
def test_a_damaged_file_is_named(tmp_path: Path, packed: bool) -> None:
    write(tmp_path, packed=packed)
    path = tmp_path / f"t10k-images-idx3-ubyte{'.gz' if packed else ''}"
    path.write_bytes(path.read_bytes()[:-500])
    with pytest.raises(UserError, match="t10k-images"):
        load_source("mnist", {"root": str(tmp_path), "download": False})
    path.write_bytes(b"<html>not found</html>")
    with pytest.raises(UserError, match="not a whole idx file"):
        read_idx(path)


def test_missing_files_say_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no such folder; set data.source.download=true"):
        load_source("mnist", {"root": str(tmp_path / "absent"), "download": False})
    with pytest.raises(UserError, match=r"download=true"):
        load_source("mnist", {"root": str(tmp_path), "download": False})
