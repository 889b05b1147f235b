"""Do the parts of an image count each by itself, or together?

Brendel and Bethge (BagNets, ICLR 2019, arXiv:1904.00760) mask far apart patches one at a time and all at once: a
network that adds up local evidence loses, with all, the sum of what it loses with each.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from src.core.estimate import Estimate
from src.statistics.bootstrap import Resampled, estimate


@dataclass(frozen=True)
class Interaction:
    """What masking costs the logit of the true class.

    Attributes:
        ratio: the sum of the drops of single patches over the drop with all of them; 1: the parts add up.
        sum_of_singles, together: means over images, in logits.
        area: share of the image that all patches cover.
        patches: how many.
    """

    ratio: Estimate
    sum_of_singles: Estimate
    together: Estimate
    area: float
    patches: int


def interaction(clean: Tensor, singles: Tensor, together: Tensor, area: float, weights: Tensor) -> Interaction:
    """The ratio of means over images, with an interval over images.

    Not a mean of ratios, and not a correlation: that of sum and whole over images is also high where they differ by a
    factor.

    Args:
        clean: (n,), the true class's logit of whole images.
        singles: (n, patches), with each patch masked.
        together: (n,), with all of them masked.
        area: share of the image that all patches cover.
        weights: float64 (B, n), of each image in each resample; rows sum to 1.
    """
    drops = torch.stack([(clean[:, None] - singles).sum(1), clean - together]).double().cpu()
    summed, whole = weights @ drops[0], weights @ drops[1]
    sums, wholes = drops.mean(1)
    ratio, singly, at_once = (
        estimate(Resampled(float(value), samples), n=len(clean), unit="images")
        for value, samples in ((sums / wholes, summed / whole), (sums, summed), (wholes, whole))
    )
    return Interaction(ratio, singly, at_once, area, singles.shape[1])
