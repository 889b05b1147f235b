"""Batch-norm statistics."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from src.networks.slicing import recalibrate
from src.networks.slicing.recalibration import even_batches, recalibrating


def test_statistics_are_the_averages_over_even_batches() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Dropout(0.5), nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU())
    images = torch.randn(10, 3, 6, 6)
    recalibrate(model, images, batch=4)
    maps = [model[1](part) for part in even_batches(images, 4)]
    assert [len(part) for part in maps] == [4, 3, 3]
    mean = torch.stack([part.mean((0, 2, 3)) for part in maps]).mean(0)
    variance = torch.stack([part.var((0, 2, 3)) for part in maps]).mean(0)
    assert torch.allclose(model[2].running_mean, mean, atol=1e-6)
    assert torch.allclose(model[2].running_var, variance, atol=1e-6)


def test_modes_and_momentum_come_back_also_after_an_error() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4, momentum=0.3), nn.Dropout())
    model[2].eval()
    with pytest.raises(RuntimeError):
        recalibrate(model, torch.randn(4, 5, 6, 6))
    assert [module.training for module in model] == [True, True, False]
    assert model[1].momentum == 0.3


def test_weights_do_not_change_and_statistics_are_deterministic() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
    images = torch.randn(9, 3, 5, 5)
    weight = model[0].weight.clone()
    recalibrate(model, images)
    once = model[1].running_var.clone()
    recalibrate(model, images)
    assert torch.equal(model[0].weight, weight) and torch.equal(model[1].running_var, once)


def test_without_batch_norm_nothing_is_computed() -> None:
    recalibrate(nn.Conv2d(3, 4, 3), torch.randn(2, 99, 1, 1))  # would be an error
    with recalibrating(nn.BatchNorm2d(3, track_running_stats=False)) as norms:
        assert norms == []
