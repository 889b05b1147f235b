from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.error import URLError

import numpy as np
import pytest
from PIL import Image

from src.core.errors import UserError
from src.data.class_names import CIFAR100, CIFAR100_PARENT, CIFAR100_SUPERCLASSES
from src.data.sources import load_source


class FakeSet:
    """What torchvision's sets look like once read."""

    def __init__(self, root: str, train: bool = True, split: str = "train", download: bool = False) -> None:
        count = 200 if train and split == "train" else 100
        self.data: Any = np.random.default_rng(count).integers(0, 256, (count, 32, 32, 3), np.uint8)
        self.targets = [k % 100 for k in range(count)]
        self.labels = np.arange(count) % 10


def test_cifar100_has_its_superclasses(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("torchvision.datasets.CIFAR100", FakeSet)
    train, test = load_source("cifar100", {"root": str(tmp_path), "only": [0, 70]})
    assert train.classes == ("apple", "rose") and train.superclasses == ("fruit_and_vegetables", "flowers")
    assert np.array_equal(train.images[0].permute(1, 2, 0).numpy(), FakeSet("").data[0])
    assert train.per_class.tolist() == [2, 2] and test.per_class.tolist() == [1, 1]


def test_cifar10_and_svhn(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    class Ten(FakeSet):
        def __init__(self, *args: Any, **options: Any) -> None:
            super().__init__(*args, **options)
            self.targets = [k % 10 for k in range(len(self.targets))]

    class Svhn(FakeSet):
        def __init__(self, *args: Any, **options: Any) -> None:
            super().__init__(*args, **options)
            self.data = np.ascontiguousarray(self.data.transpose(0, 3, 1, 2))

    monkeypatch.setattr("torchvision.datasets.CIFAR10", Ten)
    monkeypatch.setattr("torchvision.datasets.SVHN", Svhn)
    assert load_source("cifar10", {"root": str(tmp_path), "size": 16}).train.shape == (3, 16, 16)
    assert load_source("svhn", {"root": str(tmp_path), "channels": 1}).test.per_class.tolist() == [10] * 10


@pytest.mark.parametrize("name", ["cifar10", "cifar100", "svhn", "imagenette"])
def test_missing_files_say_what_to_do(tmp_path: Path, name: str) -> None:
    with pytest.raises(UserError, match=r"set data\.source\.download=true"):
        load_source(name, {"root": str(tmp_path), "download": False})


def test_no_network_is_one_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def refuse(*args: Any, **options: Any) -> None:
        raise URLError("no route")

    monkeypatch.setattr("torchvision.datasets.CIFAR10", refuse)
    with pytest.raises(UserError, match=r"no route.*network") as caught:
        load_source("cifar10", {"root": str(tmp_path)})
    assert "\n" not in str(caught.value)


def test_imagenette_is_read_from_its_folders(tmp_path: Path) -> None:
    for split in ("train", "val"):
        for number, wnid in enumerate(("n01440764", "n03888257")):
            folder = tmp_path / "imagenette2-160" / split / wnid
            folder.mkdir(parents=True)
            Image.new("RGB", (40, 30), (100 * number, 0, 0)).save(folder / "a.JPEG")
    train, test = load_source("imagenette", {"root": str(tmp_path), "size": 24})
    assert train.classes == ("tench", "parachute") and test.shape == (3, 24, 24)
    with pytest.raises(UserError, match="archive"):
        load_source("imagenette", {"root": str(tmp_path), "archive": "80px"})


def test_the_hierarchy_of_cifar100_is_whole() -> None:
    assert len(set(CIFAR100)) == 100
    assert [CIFAR100_PARENT.count(k) for k in range(20)] == [5] * 20
    assert CIFAR100_SUPERCLASSES[CIFAR100_PARENT[CIFAR100.index("shark")]] == "fish"
