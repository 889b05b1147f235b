"""The ratio of spreads under many weightings of the images at once: resamples, classes, permuted classes."""

from __future__ import annotations

import torch
from torch import Tensor

from src.methods.invariance.ratio import ratios

AT_ONCE = 1 << 22  # values of a product of matrices: 32 MiB


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
        self.scale = values.square().mean().sqrt()
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
