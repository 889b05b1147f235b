"""Ranks and rank correlation against scipy and by hand."""

from __future__ import annotations

import math

import torch
from scipy import stats

from src.statistics.ranks import average_ranks, spearman


def test_ties_share_their_mean_rank() -> None:
    assert average_ranks(torch.tensor([[5.0, -1, 5, 0], [2, 2, 2, 2]])).tolist() == [[2.5, 0, 2.5, 1], [1.5] * 4]


def test_correlation_is_scipys_with_many_ties() -> None:
    generator = torch.Generator().manual_seed(0)
    first, second = (torch.randint(0, 9, (4, 60), generator=generator).float() for _ in range(2))
    expected = [stats.spearmanr(a, b).statistic for a, b in zip(first.numpy(), second.numpy(), strict=True)]
    assert torch.allclose(spearman(first, second), torch.tensor(expected, dtype=torch.float64), atol=1e-12)


def test_only_the_order_counts() -> None:
    values = torch.tensor([[0.1, 3, -2, 7]])
    assert spearman(values, values**3).item() == 1 and spearman(values, -values).item() == -1


def test_a_constant_row_and_one_with_nan_have_none() -> None:
    known = torch.tensor([[1.0, 2, 3]]).expand(3, 3)
    rows = torch.tensor([[4.0, 4, 4], [1, math.nan, 2], [3, 2, 1]])
    assert spearman(known, rows).isnan().tolist() == [True, True, False]
