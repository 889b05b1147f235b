"""Spearman's correlation in resamples, against scipy on the replicated values."""

from __future__ import annotations

import math

import pytest
import torch
from scipy.stats import spearmanr

from src.statistics.bootstrap import bootstrap_weights, rank_correlation


def test_it_is_scipys_in_every_resample() -> None:
    generator = torch.Generator().manual_seed(0)
    x = torch.randint(5, (30,), generator=generator).double()
    y = x + torch.randn(30, generator=generator).round()
    y[4] = math.nan
    weights = bootstrap_weights(30, resamples=20, seed=1)
    for value, counts in zip(rank_correlation(x, y, weights), weights, strict=True):
        rows = torch.arange(30).repeat_interleave(counts.long())
        rows = rows[~y[rows].isnan()]
        assert float(value) == pytest.approx(spearmanr(x[rows], y[rows]).statistic)


def test_constant_values_have_none() -> None:
    assert math.isnan(rank_correlation(torch.arange(4.0), torch.ones(4), torch.ones(1, 4)).item())
