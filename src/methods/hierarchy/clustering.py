"""Groups of classes that a network confuses."""

import math
from itertools import pairwise

import torch
from torch import Tensor

from src.core.errors import UserError

LARGEST = 1.5  # size of a group, in even shares of the classes


def groups_of(confusion: Tensor, groups: int, where: str = "tree") -> list[list[int]]:
    """Labels in ``groups`` groups of at least two classes and at most 1.5 even shares (rounded up).

    Rows are brought to shares of a class's images and the matrix is made symmetric. Agglomerative clustering (average
    linkage) puts the classes in its optimal leaf order (Bar-Joseph et al. 2001). This row is cut where the groups keep
    the largest sum of confusions within them, so that the router has the fewest left to make; bounds on the size keep
    the chaining that average linkage is prone to from leaving experts with a single class.

    Args:
        confusion: (N, N), how often images of a class (rows) are taken for another (columns).
        where: key of the tree in the configuration, for messages.

    Raises:
        UserError: fewer than two groups, or more than half as many as classes.
    """
    count = len(confusion)
    if not 2 <= groups <= count // 2:
        raise UserError(
            f"{where}.groups={groups}: {count} classes can be put into 2 to {count // 2} groups of at least two classes"
        )
    alike = _alike(confusion)
    order = _leaf_order(alike)
    cuts = _best_cuts(alike[order][:, order], groups, max(2, math.ceil(LARGEST * count / groups)))
    return [sorted(order[start:stop].tolist()) for start, stop in pairwise(cuts)]


def _alike(confusion: Tensor) -> Tensor:
    """float64 (N, N), symmetric, 0 on the diagonal; a class without images is like no other."""
    counts = confusion.double().cpu()
    shares = counts / counts.sum(1, keepdim=True).clamp(min=1e-12)
    return ((shares + shares.T) / 2).fill_diagonal_(0.0)


def _leaf_order(alike: Tensor) -> Tensor:
    from scipy.cluster.hierarchy import leaves_list, linkage
    from scipy.spatial.distance import squareform

    distance = (alike.max() - alike).fill_diagonal_(0.0)
    tree = linkage(squareform(distance.numpy(), checks=False), method="average", optimal_ordering=True)
    return torch.from_numpy(leaves_list(tree)).long()


def _best_cuts(alike: Tensor, groups: int, largest: int) -> list[int]:
    """Ends [0, ..., N] of the runs of 2 to ``largest`` rows that keep the most within them (dynamic programming)."""
    count = len(alike)
    block = torch.zeros(count + 1, count + 1, dtype=torch.float64)
    block[1:, 1:] = alike.cumsum(0).cumsum(1)
    ends = torch.arange(count + 1)
    within = block.diagonal()[None, :] - block - block.T + block.diagonal()[:, None]  # (start, stop)
    size = ends[None, :] - ends[:, None]
    within = within.masked_fill((size < 2) | (size > largest), -torch.inf)
    best = torch.full((count + 1,), -torch.inf, dtype=torch.float64)
    best[0] = 0.0
    origins = []
    for _ in range(groups):
        best, origin = (best[:, None] + within).max(0)
        origins.append(origin)
    cuts = [count]
    for origin in reversed(origins):
        cuts.append(int(origin[cuts[-1]]))
    return cuts[::-1]
