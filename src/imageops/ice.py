"""Pictures of ice on a window, made of noise: needles in all directions over slow clouds."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import NamedTuple

import torch
from torch import Tensor

from src.core.seeds import stream

DIRECTIONS = 8


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
    needles: Tensor | None = None
    for step in range(DIRECTIONS):
        angle = math.pi * (step + 0.5) / DIRECTIONS
        along = math.cos(angle) * right + math.sin(angle) * down
        across = math.cos(angle) * down - math.sin(angle) * right
        layer = _filtered(along * ice.length * scale, across * ice.width * scale, side, generator)
        needles = layer if needles is None else torch.maximum(needles, layer)
    assert needles is not None
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
