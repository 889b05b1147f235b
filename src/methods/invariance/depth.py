"""How a measure changes from the first layer to the last, comparable between networks of any depth."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from src.statistics.bootstrap import Resampled


def stretched(values: Tensor, points: int = 101) -> tuple[Tensor, Tensor]:
    """A curve over layers on a common grid: depth float64 (points,) of 0..100 %, and the curve (..., points).

    Layers lie evenly, the first at 0 and the last at 100 %; between them the curve is linear.

    Args:
        values: float (..., layers). Layers without a value in any row are left out, and bridged.
    """
    values = values.double()
    grid = torch.linspace(0, 100, points, dtype=torch.float64, device=values.device)
    known = values.isfinite().reshape(-1, values.shape[-1]).any(0).nonzero()[:, 0]
    if len(known) < 2:
        constant = values[..., known] if len(known) else values.new_full((*values.shape[:-1], 1), torch.nan)
        return grid, constant.expand(*values.shape[:-1], points)
    places = 100 * known.double() / (values.shape[-1] - 1)
    right = torch.searchsorted(places, grid).clamp_(1, len(known) - 1)
    share = ((grid - places[right - 1]) / (places[right] - places[right - 1])).clamp_(0, 1)
    before, after = values[..., known[right - 1]], values[..., known[right]]
    return grid, before * (1 - share) + after * share


def rank_correlation(values: Tensor) -> Tensor:
    """(..., layers) -> float64 (...): Spearman's, of depth and value; ties share their mean rank.

    NaN where a value is, or where all are equal.
    """
    values = values.double()
    below = (values[..., None, :] < values[..., :, None]).sum(-1)
    ties = (values[..., None, :] == values[..., :, None]).sum(-1)
    ranks = (below + (ties - 1) / 2.0).double().masked_fill_(values.isnan(), torch.nan)
    ranks = ranks - ranks.mean(-1, keepdim=True)
    count = values.shape[-1]
    depth = torch.arange(count, dtype=torch.float64, device=values.device) - (count - 1) / 2
    return (ranks * depth).sum(-1) / (ranks.square().sum(-1) * depth.square().sum()).sqrt()


def first_minus_second_half(values: Tensor) -> Tensor:
    """(..., layers) -> float64 (...): mean of the first half less that of the second; a middle layer is in neither."""
    half = values.shape[-1] // 2
    return values[..., :half].double().mean(-1) - values[..., values.shape[-1] - half :].double().mean(-1)


class DepthTrend(NamedTuple):
    """Lower layers are the most invariant where the first is above 0, and the second is below."""

    rank_correlation: Resampled
    first_minus_second_half: Resampled


def depth_trend(layers: Sequence[Resampled]) -> DepthTrend:
    """How NV goes with depth, with resamples.

    Args:
        layers: the mean NV of each layer in order, of resamples by the same weights; those without one are left out.
    """
    known = [layer for layer in layers if layer.value == layer.value] or list(layers)
    value = torch.tensor([layer.value for layer in known], dtype=torch.float64)
    samples = torch.stack([layer.samples.double() for layer in known], 1)  # (B, layers)

    def of(statistic: Callable[[Tensor], Tensor]) -> Resampled:
        return Resampled(float(statistic(value)), statistic(samples))

    return DepthTrend(of(rank_correlation), of(first_minus_second_half))
