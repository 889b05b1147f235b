"""The ratio of two spreads, with units that do nothing and units without a ratio told apart."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

TOLERANCE = 100
"""A spread below so many rounding errors of the layer's values counts as none."""


@dataclass
class Ratio:
    """Of the units of one layer.

    Attributes:
        transformation: float64 (units), spread over transformations.
        sample: float64 (units), spread over images.
        values: float64 (units), their ratio; NaN where the unit is dead, infinite where only images do not move it.
        dead: how many units never change.
        infinite: how many change under the transformation alone.
    """

    transformation: Tensor
    sample: Tensor
    values: Tensor
    dead: int
    infinite: int

    @property
    def mean(self) -> float:
        """Over the finite units; NaN where there is none."""
        finite = self.values[self.values.isfinite()]
        return float(finite.mean()) if len(finite) else float("nan")

    @classmethod
    def of_values(cls, values: Tensor, transformation: Tensor, sample: Tensor, infinite: Tensor) -> Ratio:
        """Around ratios that are known; bool ``infinite`` says which of those that are NaN are not dead."""
        values = values.masked_fill(infinite, torch.inf)
        return cls(transformation, sample, values, int(values.isnan().sum()), int(infinite.sum()))


def ratio_of(transformation: Tensor, sample: Tensor, *, scale: float, dtype: torch.dtype) -> Ratio:
    """Divide, unit by unit.

    Args:
        transformation: float64 (units). sample: float64 (units).
        scale: size of the layer's values, by which rounding errors are judged.
        dtype: that they were computed in.
    """
    sizes = [scale, *(float(values.square().mean().sqrt()) for values in (transformation, sample))]
    least = TOLERANCE * torch.finfo(dtype).eps * max(sizes)
    moved, varied = transformation > least, sample > least
    values = torch.where(varied, transformation / sample, torch.where(moved, torch.inf, torch.nan))
    return Ratio(transformation, sample, values, int((~moved & ~varied).sum()), int((moved & ~varied).sum()))
