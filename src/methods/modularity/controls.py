"""What a module must be compared with: kernels taken at random."""

import torch
from torch import Tensor


def random_kernels(keep: Tensor, group_index: Tensor, generator: torch.Generator) -> Tensor:
    """As many kernels of each layer as ``keep`` bool (K,) has, drawn at random: bool (K,).

    ``group_index`` int64 (K,): the layer of each kernel (``plan.group_index``).
    """
    groups = int(group_index.max()) + 1
    counts = torch.zeros(groups, dtype=torch.int64).scatter_add_(0, group_index, keep.long())
    chance = torch.rand(len(keep), generator=generator)
    order = (group_index + chance).argsort()  # by layer, and within it by chance
    start = torch.bincount(group_index, minlength=groups).cumsum(0) - torch.bincount(group_index, minlength=groups)
    rank = torch.empty_like(order)
    rank[order] = torch.arange(len(keep))
    return rank - start[group_index] < counts[group_index]
