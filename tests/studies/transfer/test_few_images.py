"""What experts are worth on a few images of another look: means over experts, with their intervals."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from src.data.opening import data_module
from src.methods.hierarchy.tree import from_superclasses
from src.studies.transfer.few_images import SCRATCH, WARM, TargetImages
from tests.studies.transfer.experts import on_target


def test_gains_are_means_over_experts_with_their_interval() -> None:
    findings = on_target()
    gain = findings.gain[4]
    assert gain.value == pytest.approx(0.3) and (gain.n, gain.unit) == (2, "experts")
    assert (gain.low, gain.high) == pytest.approx((0.2, 0.4))  # both the one or both the other expert
    assert findings.gain[8].value == pytest.approx(0.0)
    assert [findings.over_zero_shot[count].value for count in (4, 8)] == pytest.approx([0.3, 0.3])
    assert findings.zero_shot.value == pytest.approx(0.5) and findings.source.value == pytest.approx(0.95)
    assert {key: accuracy.value for key, accuracy in findings.few.items()} == pytest.approx(
        {(WARM, 4): 0.8, (SCRATCH, 4): 0.5, (WARM, 8): 0.8, (SCRATCH, 8): 0.8}
    )
    assert findings.chance == 0.375


def test_one_experts_gain_is_over_its_images() -> None:
    first, second = on_target().experts
    gains = [expert.gain_over_images(count) for expert in (first, second) for count in (4, 8)]
    assert [gain.value for gain in gains] == pytest.approx([0.4, 0.1, 0.2, -0.1])
    assert all((gain.n, gain.unit) == (30, "images") and gain.low == gain.high for gain in gains)


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
