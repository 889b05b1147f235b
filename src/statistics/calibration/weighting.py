"""How much each image counts in a fit."""

from __future__ import annotations

import torch
from torch import Tensor


def class_weights(labels: Tensor, classes: int) -> Tensor:
    """float64 (n,): weights under which every class counts alike, however many images it has; they sum to n."""
    counts = torch.bincount(labels, minlength=classes).double()
    return (1 / counts)[labels] * (len(labels) / int((counts > 0).sum()))
