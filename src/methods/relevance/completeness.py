"""Completeness: does a map add up to what it explains?"""

from typing import NamedTuple

import torch
from torch import Tensor


class Completeness(NamedTuple):
    """Per image, float64 (n,); NaN where there is nothing that a map should add up to.

    Attributes:
        error: |total - start| / |start|; 0: all is there. Infinite where the total is not a number.
        missing: (start - total) / start: the share that was lost on the way, below 0 where the map has too much.
    """

    error: Tensor
    missing: Tensor


def completeness(total: Tensor, start: Tensor) -> Completeness:
    """How far the sum of each map lies from what the method says that it adds up to.

    Layer-wise relevance adds up to its start value, the target's logit (Bach et al., PLOS ONE 10, 2015); integrated
    gradients to f(x) - f(baseline) (Sundararajan et al., ICML 2017, arXiv:1703.01365). Gradient, Grad-CAM and
    occlusion promise nothing: give NaN as their start. A constant map of the right height is complete as well, so that
    completeness is no evidence of quality: it finds faults of an implementation, and what biases take.

    Args:
        total: (n,), sum of each map over its pixels.
        start: (n,); NaN or 0: not applicable.
    """
    start = start.double().masked_fill(start == 0, torch.nan)
    total = total.double().nan_to_num(nan=torch.inf, posinf=torch.inf, neginf=-torch.inf)
    missing = (start - total) / start
    return Completeness(missing.abs(), missing)
