"""Parameters and multiply-adds."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from src.networks.cost import cost
from src.networks.models import build


@pytest.mark.parametrize(
    ("name", "parameters", "millions"), [("simcnn", 15_245_130, 313.73), ("rescnn", 16_010_122, 431.17)]
)
def test_the_published_figures(name: str, parameters: int, millions: float) -> None:
    found = cost(build({"name": name, "classes": 10, "input_shape": [3, 32, 32]}), (3, 32, 32))
    assert found.parameters == parameters
    assert round(found.macs / 1e6, 2) == millions


def test_counts_by_hand() -> None:
    model = nn.Sequential(
        nn.Conv2d(3, 8, 3, stride=2, padding=1),  # 8x4x4 values of 27 each
        nn.BatchNorm2d(8),
        nn.Conv2d(8, 8, 3, groups=8),  # 8x2x2 values of 9 each
        nn.ConvTranspose2d(8, 5, 2),  # each of 8x2x2 values meets 5x2x2 weights
        nn.Flatten(),
        nn.Linear(45, 7, bias=False),
    )
    found = cost(model, (3, 8, 8))
    assert found.macs == 128 * 27 + 32 * 9 + 32 * 20 + 45 * 7
    assert found.parameters == sum(parameter.numel() for parameter in model.parameters())


def test_the_model_is_left_alone() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)).double()
    cost(model, (3, 5, 5))
    assert model.training and not model[0]._forward_hooks
    assert torch.equal(model[1].running_mean, torch.zeros(4, dtype=torch.float64))
