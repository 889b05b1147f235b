"""What sub-networks have in common: those with equal first layers share the maps behind them."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from src.networks.slicing import SlicePlan


def in_order(keep: Tensor, plan: SlicePlan) -> Tensor:
    """int64 (P,): the rows of ``keep`` bool (P, K) so that those with equal first groups follow each other."""
    packed = np.packbits(keep.numpy(), axis=1)  # the kernel axis has the groups in their order
    return torch.tensor(sorted(range(len(packed)), key=lambda index: packed[index].tobytes()), dtype=torch.int64)


def boundaries_between(keep: Tensor, plan: SlicePlan, boundaries: Sequence[int]) -> list[int]:
    """For each row of ``keep`` bool (P, K) but the last: the step up to which it and the next compute the same.

    ``boundaries``: for each of the plan's groups the first step that its kernels have a part in.
    """
    differs = keep[1:] != keep[:-1]
    by_group = torch.stack([differs[:, part].any(1) for part in plan.slices()], dim=1)  # (P - 1, groups)
    # of two equal rows, which differ in the class that is asked for alone, the last boundary is shared
    first = torch.where(by_group.any(1), by_group.int().argmax(1), by_group.shape[1] - 1)
    return [boundaries[group] for group in first.tolist()]


def depths_to_save(common: Sequence[int], start: int) -> list[int]:
    """The steps, rising, before which the first of some sub-networks must save its states for those that follow.

    ``common``: up to which step each shares with the next, from the first on. ``start``: what is saved already.
    """
    depths: list[int] = []
    lowest = min(common[:1], default=0)
    for step in common:
        lowest = min(lowest, step)
        if lowest <= start:
            break
        if not depths or lowest < depths[0]:
            depths.insert(0, lowest)
    return depths
