"""The ratio of two spreads, with units that do nothing and units without a ratio told apart."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

TOLERANCE = 100
"""A spread below so many rounding errors of the layer's values counts as none."""


@dataclass
class Ratio:
    """Of the units of one layer, float64 (units) on the CPU.

    Attributes:
        transformation: spread over transformations.
        sample: spread over images.
        values: their ratio; NaN where the unit is dead, infinite where only images do not move it.
    """

    transformation: Tensor
    sample: Tensor
    values: Tensor

    @property
    def dead(self) -> int:
        """How many units never change."""
        return int(self.values.isnan().sum())

    @property
    def infinite(self) -> int:
        """How many change under the transformation alone."""
        return int(self.values.isinf().sum())

    @property
    def mean(self) -> float:
        """Over the finite units; NaN where there is none."""
        return mean_of_finite(self.values)


def mean_of_finite(values: Tensor) -> float:
    """NaN where nothing is finite."""
    return float(values[values.isfinite()].mean())


def ratios(transformation: Tensor, sample: Tensor, *, scale: Tensor, dtype: torch.dtype) -> Tensor:
    """Divide, unit by unit: `Ratio.values`, on the device.

    Args:
        transformation: float64 (units). sample: float64 (units).
        scale: float64 (), size of the layer's values, by which rounding errors are judged.
        dtype: that they were computed in.
    """
    size = scale
    for values in (transformation, sample):
        spread = values.square().mean().sqrt()
        size = torch.where(spread > size, spread, size)  # which a spread that is NaN leaves as it is
    least = TOLERANCE * torch.finfo(dtype).eps * size
    moved, varied = transformation > least, sample > least
    return torch.where(varied, transformation / sample, torch.where(moved, torch.inf, torch.nan))


def ratio_of(transformation: Tensor, sample: Tensor, *, scale: Tensor, dtype: torch.dtype) -> Ratio:
    """As `ratios`, brought to the CPU in one transfer."""
    values = ratios(transformation, sample, scale=scale, dtype=dtype)
    return Ratio(*torch.stack([transformation, sample, values]).cpu())
