"""Random fields: clouds by the diamond-square algorithm, and pictures of ice: needles in all directions over clouds."""

import math
from functools import lru_cache
from typing import NamedTuple

import torch
from torch import Tensor

from src.core.seeds import stream

DIRECTIONS = 8  # of needles


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


class Ice(NamedTuple):
    """One picture: mean and standard deviation of red, green and blue, needles in pixels, share of the clouds."""

    mean: tuple[int, int, int]
    std: tuple[int, int, int]
    length: float
    width: float
    clouds: float


#: colour and spread are those of the first five photographs of the benchmark (two of them are of one picture)
PICTURES = (
    Ice((78, 149, 166), (27, 16, 15), 6, 2, 0.7),
    Ice((201, 205, 214), (21, 22, 23), 12, 1.6, 0.4),
    Ice((201, 205, 214), (21, 22, 23), 16, 2.2, 0.4),
    Ice((138, 153, 165), (28, 28, 30), 3, 1.0, 0.5),
    Ice((112, 123, 135), (44, 43, 42), 10, 1.2, 0.5),
)


@lru_cache(maxsize=8)
def pictures(side: int, scale: float, device: torch.device) -> Tensor:
    """float32 (5, 3, side, side) of 0..255, always the same; `scale` is of the needles."""
    return torch.stack([_picture(number, ice, side, scale) for number, ice in enumerate(PICTURES)]).to(device)


def _picture(number: int, ice: Ice, side: int, scale: float) -> Tensor:
    generator = stream("ice", number)
    down = torch.fft.fftfreq(side)[:, None]
    right = torch.fft.rfftfreq(side)
    layers = []
    for angle in (math.pi * (step + 0.5) / DIRECTIONS for step in range(DIRECTIONS)):
        along = math.cos(angle) * right + math.sin(angle) * down
        across = math.cos(angle) * down - math.sin(angle) * right
        layers.append(_filtered(along * ice.length * scale, across * ice.width * scale, side, generator))
    needles = torch.stack(layers).amax(0)
    clouds = _filtered(down * 60 * scale, right * 60 * scale, side, generator)
    grain = _standard(_standard(needles) + ice.clouds * clouds)
    tint = _filtered(down * 90 * scale, right * 90 * scale, side, generator)
    mean, std = (torch.tensor(numbers, dtype=torch.float32)[:, None, None] for numbers in (ice.mean, ice.std))
    # a slow change of tint where red varies more than blue
    lean = torch.tensor([1.0, 0.0, -1.0])[:, None, None] * (std[0] - std[2]) / std
    return (mean + std * _standard(grain + lean * tint, (1, 2))).clamp_(0, 255)


def _filtered(first: Tensor, second: Tensor, side: int, generator: torch.Generator) -> Tensor:
    """White noise through a Gaussian of one pixel, times the axes' lengths that both frequencies were multiplied by."""
    noise = torch.fft.rfft2(torch.randn(side, side, generator=generator))
    return _standard(torch.fft.irfft2(noise * torch.exp(-2 * math.pi**2 * (first**2 + second**2)), s=(side, side)))


def _standard(values: Tensor, axes: tuple[int, ...] = (0, 1)) -> Tensor:
    return (values - values.mean(axes, keepdim=True)) / values.std(axes, keepdim=True)
