"""Weights even classes out."""

import pytest
import torch

from src.statistics.calibration import class_weights


def test_class_weights_let_every_class_count_alike() -> None:
    labels = torch.tensor([0, 0, 0, 0, 2, 2, 3])
    weights = class_weights(labels, 5)  # classes 1 and 4 have no image
    assert weights.dtype == torch.float64
    sums = [weights[labels == k].sum().item() for k in (0, 2, 3)]
    assert sums == pytest.approx([7 / 3] * 3)
    assert weights[0].item() == pytest.approx(7 / 12) and weights.sum().item() == pytest.approx(7)
    assert torch.equal(class_weights(torch.arange(6) % 3, 3), torch.ones(6, dtype=torch.float64))
