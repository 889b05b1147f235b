"""Whether a network has collapsed to one answer."""

import torch
from torch import Tensor

ALARM = 0.9  # of all answers; an ImageNet study went unnoticed at 1.0 (reference: L. Friedrichsen 2020, ch. 5)


def shares(predicted: Tensor, classes: int) -> tuple[float, float]:
    """The shares of predictions (n,) that the least and the most often predicted class take."""
    counts = torch.bincount(predicted, minlength=classes).double() / max(1, len(predicted))
    return float(counts.min()), float(counts.max())
