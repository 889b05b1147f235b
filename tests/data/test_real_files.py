"""The sources on real files, where the folder with them is there."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from src.core.errors import UserError
from src.data.class_names import CIFAR10, CIFAR100, CIFAR100_PARENT, CIFAR100_SUPERCLASSES
from src.data.datamodule import ImageData
from src.data.sources import load_source
from src.data.splits import drop_seen, groups_of


def test_cifar10(real_data: Path) -> None:
    options = {"path": str(real_data / "cifar10_half.parquet"), "train_per_class": 60, "test_per_class": 10}
    train, test = load_source("parquet", options)
    assert train.classes == CIFAR10 and train.shape == (3, 32, 32)
    assert train.per_class.tolist() == [60] * 10 and test.per_class.tolist() == [10] * 10
    assert abs(float(train.images.float().mean()) / 255 - 0.473) < 0.02


def test_cifar100_and_the_published_mixture(real_data: Path) -> None:
    """Nine classes of CIFAR-100 and one of CIFAR-10, smaller."""
    hundred = {
        "name": "parquet",
        "train": str(real_data / "cifar100_train.parquet"),
        "test": str(real_data / "cifar100_test.parquet"),
        "train_per_class": 40,
        "test_per_class": 20,
    }
    ten = {"name": "parquet", "path": str(real_data / "cifar10_half.parquet"), "test_per_class": 20}
    data = ImageData(
        hundred,
        mix={
            "others": [0, 2, 5, 8, 9, 12, 15, 22, 70],
            "target": 3,
            "target_source": ten | {"train_per_class": 80},
            "train_target": 40,
        },
        normalisation="cifar10",
    )
    data.setup()
    names = ("apple", "baby", "bed", "bicycle", "bottle", "bridge", "camel", "clock", "rose", "cat")
    assert data.classes == names
    assert data.sets["train"].per_class.tolist() == [32] * 10
    assert data.sets["validation"].per_class.tolist() == [8] * 10
    assert data.sets["test"].per_class.tolist() == [20] * 10


def test_hierarchy_of_cifar100(real_data: Path) -> None:
    options = {"train": str(real_data / "cifar100_test.parquet"), "train_per_class": 1, "test_per_class": 1}
    train, _ = load_source("parquet", {"path": options.pop("train"), **options})
    assert train.classes == CIFAR100
    assert train.superclasses == tuple(CIFAR100_SUPERCLASSES[k] for k in CIFAR100_PARENT)


def test_mnist(real_data: Path) -> None:
    train, test = load_source("mnist", {"root": str(real_data / "mnist"), "download": False})
    assert len(train) == 60000 and len(test) == 10000
    assert abs(float(train.images.float().mean()) / 255 - 0.1307) < 1e-4
    kept, count = drop_seen(train, test)
    assert count + len(kept) == 60000
    assert torch.equal(groups_of(test.images), torch.arange(10000))


def test_photographs_of_many_sizes(real_data: Path) -> None:
    """One photograph per class: no set to train on, but files to read."""
    path = str(real_data / "imagenet_photos.parquet")
    with pytest.raises(UserError, match="leave none of the 1"):
        load_source("parquet", {"path": path, "size": 48, "only": [0, 217]})
    train, test = load_source("parquet", {"train": path, "test": path, "size": 48, "only": [0, 217]})
    assert train.shape == (3, 48, 48) and len(test) == 2
    with pytest.raises(UserError, match=r"set data\.source\.size"):
        load_source("parquet", {"train": path, "test": path})
