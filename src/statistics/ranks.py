"""Ranks with ties, and Spearman's correlation of many pairs of long rows at once."""

import torch
from torch import Tensor


def average_ranks(values: Tensor) -> Tensor:
    """Rank of each number within its row, 0 the lowest; equal ones share their mean: (n, m) -> float64 (n, m).

    A row with a number that is not finite is NaN.
    """
    values = values.contiguous()
    ordered = values.sort(1).values
    below = torch.searchsorted(ordered, values)
    not_above = torch.searchsorted(ordered, values, right=True)
    ranks = (below + not_above - 1).double() / 2
    return ranks.masked_fill_(~values.isfinite().all(1, keepdim=True), torch.nan)


def spearman(first: Tensor, second: Tensor) -> Tensor:
    """Spearman's rank correlation of each row with the same row of the other: (n, m) twice -> float64 (n,).

    NaN where a row is constant or has a number that is not finite.
    """
    x, y = (ranks - ranks.mean(1, keepdim=True) for ranks in map(average_ranks, (first, second)))
    return (x * y).sum(1) / (x.square().sum(1) * y.square().sum(1)).sqrt()
