"""Batch norm over groups of a fixed number of images, whatever the size of a pass.

Ghost batches are those of Hoffer et al. 2017 (arXiv:1705.08741). The statistics of a group never depend on how many
groups pass at once, so neither do the weights that are learnt.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from src.data.epoch_loader import cut


class Rows:
    """Where in the batch of an optimiser step the images lie that pass through the network now.

    As a context manager it marks a pass whose activations are computed again: it leaves no trace in the statistics.
    """

    def __init__(self) -> None:
        self.whole = 0  # images of the batch
        self.start = 0  # the first that is ours
        self.first = 0  # the first that passes now
        self.steps = 0  # tells the batches apart
        self.begins = True
        self.again = False

    def begin(self, whole: int, first: int) -> None:
        """A batch of ``whole`` images begins; ours are those from ``first`` on."""
        self.whole, self.start, self.first = whole, first, first
        self.steps += 1
        self.begins, self.again = True, False

    def advance(self, count: int) -> None:
        """The next pass begins after ``count`` images."""
        self.first += count
        self.begins = False

    def __enter__(self) -> None:
        self.again = True

    def __exit__(self, *_: object) -> None:
        self.again = False


class GhostNorm:
    """What our batch norms have in common: statistics per group, running statistics that forget once per batch."""

    rows: Rows
    ghost: int | None

    def forward(self: Any, x: Tensor) -> Tensor:
        if not self.training:
            return super().forward(x)  # type: ignore[misc]
        rows: Rows = self.rows
        if rows.begins and not rows.again:
            self.num_batches_tracked.add_(1)
        momentum = 0.0 if rows.again else self.momentum  # 0 leaves the running statistics to the bit
        if self.ghost is None:
            return self.normalised(x, momentum)
        momentum = momentum_per_group(momentum, len(cut(rows.whole, self.ghost)))
        groups = [self.normalised(group, momentum) for group in x.split(cut(len(x), self.ghost)) if len(group)]
        return groups[0] if len(groups) == 1 else torch.cat(groups) if groups else x

    def normalised(self: Any, x: Tensor, momentum: float) -> Tensor:
        return functional.batch_norm(
            x, self.running_mean, self.running_var, self.weight, self.bias, True, momentum, self.eps
        )


class GhostNorm1d(GhostNorm, nn.BatchNorm1d):
    """Of features (n, F)."""


class GhostNorm2d(GhostNorm, nn.BatchNorm2d):
    """Of maps (n, C, H, W)."""


def follow_norms(model: nn.Module, rows: Rows, ghost: int | None) -> None:
    """Turn the batch norms of ``model`` into ones over ``ghost`` images (None: all of a pass)."""
    kinds: dict[type[nn.Module], type[nn.Module]] = {nn.BatchNorm1d: GhostNorm1d, nn.BatchNorm2d: GhostNorm2d}
    for module in model.modules():
        if type(module) in kinds:
            module.__class__ = kinds[type(module)]
            module.rows, module.ghost = rows, ghost  # type: ignore[assignment]


def momentum_per_group(momentum: float, groups: int) -> float:
    """The momentum of each of ``groups`` updates that forget together as much as one update by ``momentum``."""
    return momentum if groups == 1 else 1 - (1 - momentum) ** (1 / groups)
