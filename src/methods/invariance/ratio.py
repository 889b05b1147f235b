"""The ratio of two spreads, with units that do nothing and units without a ratio told apart."""

from dataclasses import dataclass

import torch
from torch import Tensor

from src.core.shown import Shown

TOLERANCE = 100
"""A spread below so many rounding errors of the unit's own values counts as none."""
AT_ONCE = 1 << 22  # values of a product of matrices: 32 MiB


@dataclass
class Ratio(Shown):
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
        scale: float64 (units), size of each unit's values, by which rounding errors are judged: those of other units of
            the layer may be far larger.
        dtype: that they were computed in.
    """
    size = scale
    for values in (transformation, sample):
        size = torch.where(values > size, values, size)  # which a spread that is NaN leaves as it is
    least = TOLERANCE * torch.finfo(dtype).eps * size
    moved, varied = transformation > least, sample > least
    return torch.where(varied, transformation / sample, torch.where(moved, torch.inf, torch.nan))


def ratio_of(transformation: Tensor, sample: Tensor, *, scale: Tensor, dtype: torch.dtype) -> Ratio:
    """As `ratios`, brought to the CPU in one transfer."""
    values = ratios(transformation, sample, scale=scale, dtype=dtype)
    return Ratio(*torch.stack([transformation, sample, values]).cpu())


class WeightedRatio:
    """NV of units whose activations are kept, where each image counts as often as its weight says.

    Args:
        activations: float (S, T, m).
        about: as ``activations``, what the spread over images is taken of; None: the same.
    """

    def __init__(self, activations: Tensor, about: Tensor | None = None) -> None:
        values = activations.double()
        self.dtype = activations.dtype
        self.images, self.transformations, self.units = activations.shape
        self.scale = values.square().mean((0, 1)).sqrt()
        self.deviations = values.std(1, correction=int(self.transformations > 1))
        about = values if about is None else about.double()
        self.values = (about - about.mean(0)).flatten(1)  # (S, T * m)
        self.squares = self.values.square()

    def under(self, weights: Tensor) -> Tensor:
        """float (B, S) -> float64 (B, m): the ratio as `ratios` has it, over as many images as a row sums to."""
        step = max(1, AT_ONCE // (self.transformations * self.units))
        spreads = [self._spreads(part.to(self.values)) for part in weights.split(step)]
        return ratios(*(torch.cat(each) for each in zip(*spreads, strict=True)), scale=self.scale, dtype=self.dtype)

    def _spreads(self, weights: Tensor) -> tuple[Tensor, Tensor]:
        count = weights.sum(1, keepdim=True)
        first, second = weights @ self.values, weights @ self.squares
        variance = (second - first.square() / count).clamp_(min=0) / (count - 1).clamp(min=1)
        return weights @ self.deviations / count, variance.sqrt_().unflatten(1, (-1, self.units)).mean(1)


def finite_mean(values: Tensor, dim: int) -> Tensor:
    """The mean over ``dim`` of what is finite; NaN where nothing is."""
    finite = values.isfinite()
    return values.where(finite, 0.0).sum(dim) / finite.sum(dim)
