"""Images of another look: their classes get the numbers of the source."""

from __future__ import annotations

from typing import Any

import torch

from src.data.opening import data_module
from src.methods.hierarchy.tree import from_superclasses
from src.studies.transfer.data import TargetImages


def test_the_targets_images_get_the_numbers_of_the_source() -> None:
    options: dict[str, Any] = {
        "source": {"name": "glyphs", "size": 16, "train_per_class": 8, "test_per_class": 3},
        "splits": {"validation": 2, "calibration": 0},
    }
    data = data_module(options)(**options, classes=["disc", "bar", "star6", "star5"])
    data.setup()
    tree = from_superclasses(["star5", "star6", "disc", "ring"], ["star", "star", "round", "round"])
    part = TargetImages(data, torch.tensor([2, -1, 1, 0])).below(tree, tree.node("star"))
    assert part.classes == ("star5", "star6")
    test, below = data.sets["test"], part.sets["test"]
    for name, label in (("star5", 3), ("star6", 2)):
        images = below.images[below.labels == part.classes.index(name)]
        assert torch.equal(images, test.images[test.labels == label])
    assert len(below) == 6
