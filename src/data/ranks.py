"""The position of each image within its class: what caps, splits and label noise all draw by."""

import torch
from torch import Tensor


def rank_within_class(labels: Tensor, generator: torch.Generator | None = None) -> Tensor:
    """int64 (N,): 0, 1, 2 ... within each class of labels int64 (N,), in their order or in one drawn on the CPU."""
    count = len(labels)
    shuffled = torch.arange(count) if generator is None else torch.randperm(count, generator=generator)
    order = shuffled[labels[shuffled].argsort(stable=True)]  # by class, shuffled inside
    sizes = torch.bincount(labels) if count else torch.zeros(0, dtype=torch.int64)
    starts = (sizes.cumsum(0) - sizes).repeat_interleave(sizes)
    ranks = torch.empty(count, dtype=torch.int64)
    ranks[order] = torch.arange(count) - starts
    return ranks
