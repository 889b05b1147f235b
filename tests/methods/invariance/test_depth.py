"""Curves and trends over depth."""

from __future__ import annotations

from math import nan

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr

from src.methods.invariance.depth import depth_trend, first_minus_second_half, rank_correlation, stretched
from src.statistics.bootstrap import Resampled, estimate, paired_difference


def test_curves_on_a_common_grid() -> None:
    values = torch.randn(3, 7, dtype=torch.float64)
    depth, curves = stretched(values, points=50)
    assert depth[0] == 0 and depth[-1] == 100
    for row, curve in zip(values, curves, strict=True):
        expected = np.interp(depth.numpy(), np.linspace(0, 100, 7), row.numpy())
        torch.testing.assert_close(curve, torch.from_numpy(expected))
    # networks of any depth with the same course have the same curve
    torch.testing.assert_close(stretched(torch.linspace(1, 0, 5))[1], stretched(torch.linspace(1, 0, 33))[1])


def test_layers_without_a_value_are_bridged() -> None:
    depth, curve = stretched(torch.tensor([nan, 1.0, nan, 3.0, 4.0]), points=5)
    assert curve.tolist() == [1, 1, 2, 3, 4] and depth.tolist() == [0, 25, 50, 75, 100]
    assert stretched(torch.tensor([nan, 2.0]), points=3)[1].tolist() == [2, 2, 2]
    assert stretched(torch.tensor([5.0]), points=3)[1].tolist() == [5, 5, 5]
    assert bool(stretched(torch.tensor([nan, nan]), points=3)[1].isnan().all())


def test_ranks_with_ties() -> None:
    values = torch.randint(0, 4, (20, 9), generator=torch.Generator().manual_seed(0)).double()
    expected = torch.tensor([spearmanr(range(9), row).statistic for row in values])
    torch.testing.assert_close(rank_correlation(values), expected)
    assert rank_correlation(torch.tensor([0.1, 0.2, 0.7])) == pytest.approx(1)
    undefined = rank_correlation(torch.tensor([[1.0, 1.0, 1.0], [1.0, nan, 2.0]]))
    assert bool(undefined.isnan().all())


def test_halves() -> None:
    values = torch.tensor([[1.0, 3.0, 100.0, 6.0, 8.0], [0.0, 0.25, 0.5, 0.75, 1.0]])
    assert first_minus_second_half(values).tolist() == [-5, -0.75]


def test_trends_with_intervals() -> None:
    generator = torch.Generator().manual_seed(0)
    noise = 0.01 * torch.randn(200, 6, generator=generator, dtype=torch.float64)
    rising, falling = torch.linspace(0.2, 0.9, 6).double(), torch.linspace(1.1, 0.5, 6).double()

    def layers(values: torch.Tensor) -> list[Resampled]:
        found = [Resampled(float(value), value + noise[:, row]) for row, value in enumerate(values)]
        return [*found[:3], Resampled(nan, torch.full((200,), nan)), *found[3:]]  # a dead layer is left out

    up, down = depth_trend(layers(rising)), depth_trend(layers(falling))
    assert up.rank_correlation.value == pytest.approx(1)
    assert up.first_minus_second_half.value == pytest.approx(-0.42)
    assert up.first_minus_second_half.samples.shape == (200,)
    assert estimate(up.first_minus_second_half).high < 0 < estimate(down.first_minus_second_half).low
    apart = estimate(paired_difference(up.first_minus_second_half, down.first_minus_second_half))
    assert apart.value == pytest.approx(-0.78) and apart.high - apart.low < 1e-9
    nothing = depth_trend([Resampled(nan, torch.full((5,), nan))])
    assert nothing.rank_correlation.samples.shape == (5,)
