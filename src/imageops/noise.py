"""Random fields: clouds by the diamond-square algorithm."""

from __future__ import annotations

import torch
from torch import Tensor


def plasma(count: int, side: int, decay: float, generator: torch.Generator) -> Tensor:
    """float32 (count, side, side) on the CPU, each scaled to 0..1: clouds that repeat at the border.

    Diamond-square: from one corner on, middles of squares and then of diamonds become the mean of their four
    neighbours plus a uniform number, whose range falls by ``decay ** 2`` at each step to half the distance.

    Args:
        side: a power of two.
        decay: large: smooth, small: rough.
    """
    clouds = torch.zeros(count, side, side)
    step, amplitude = side, 1.0

    def noisy_mean(total: Tensor) -> Tensor:
        drawn = torch.rand(total.shape, generator=generator).mul_(2 * amplitude).sub_(amplitude)
        return drawn.add_(total, alpha=0.25)

    while step >= 2:
        half = step // 2
        corners = clouds[:, ::step, ::step]
        pairs = corners + corners.roll(-1, 1)
        middles = clouds[:, half::step, half::step]
        middles.copy_(noisy_mean(pairs + pairs.roll(-1, 2)))
        clouds[:, ::step, half::step] = noisy_mean(middles + middles.roll(1, 1) + corners + corners.roll(-1, 2))
        clouds[:, half::step, ::step] = noisy_mean(middles + middles.roll(1, 2) + corners + corners.roll(-1, 1))
        step = half
        amplitude /= decay**2
    low = clouds.amin((1, 2), keepdim=True)
    return clouds.sub_(low).div_(clouds.amax((1, 2), keepdim=True))
