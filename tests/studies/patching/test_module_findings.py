"""What modules are worth: recalls of classes, and means over modules."""

from __future__ import annotations

import math

import torch

from src.studies.patching.module_findings import module_metrics, recalls
from tests.studies.patching.findings import interval, two_modules


def test_a_recall_is_of_the_images_of_its_class() -> None:
    found = recalls(torch.tensor([0, 1, 1, 1, 0]), torch.tensor([0, 0, 0, 1, 1]), 3)
    assert torch.allclose(found[:2], torch.tensor([1 / 3, 1 / 2], dtype=torch.float64)) and found[2].isnan()


def test_means_over_modules_have_no_interval() -> None:
    metrics = module_metrics(two_modules())
    values = {"kernels_retained": 0.625, "macs_retained": 0.5, "auc": 0.9375}
    for name, value in values.items():
        assert metrics[name].value == value and (metrics[name].n, metrics[name].unit) == (2, "modules")
        assert math.isnan(metrics[name].low) and math.isnan(metrics[name].high)
    assert metrics["composed_accuracy"] == interval(0.625) and metrics["composed_against_strong"] == interval(-0.125)
    assert metrics["strong_accuracy"] == interval(0.75) and metrics["composed_accuracy_raw"] == interval(0.5)
