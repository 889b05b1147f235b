"""The five blurs. Each takes float values (n, C, H, W) of 0..255, which it may overwrite, and a CPU generator."""

from __future__ import annotations

import torch
from torch import Tensor

from src.imageops import blur, filters, warp
from src.imageops.resampling import zoom_sum


def defocus_blur(values: Tensor, generator: torch.Generator, radius: float, softness: float) -> Tensor:
    """Through a disk."""
    return blur.defocus(values, radius, softness)


def gaussian_blur(values: Tensor, generator: torch.Generator, sigma: float) -> Tensor:
    """Through a Gaussian."""
    return filters.gaussian(values, sigma)


def glass_blur(values: Tensor, generator: torch.Generator, sigma: float, reach: float, passes: float) -> Tensor:
    """A Gaussian, pixels that take their neighbours' values, and the Gaussian again."""
    blurred = whole(filters.gaussian(values, sigma))
    return filters.gaussian(warp.frosted(blurred, int(reach), int(passes), generator), sigma)


def motion_blur(values: Tensor, generator: torch.Generator, radius: float, sigma: float) -> Tensor:
    """Along a direction up to 45 degrees off the horizontal."""
    angles = torch.rand(len(values), generator=generator) * 90 - 45
    return blur.motion(values, int(radius), sigma, angles).round_()


def zoom_blur(values: Tensor, generator: torch.Generator, *factors: float) -> Tensor:
    """The mean of the image and of it zoomed by each factor, of which 1 is one."""
    return zoom_sum(values, factors).add_(values).div_(len(factors) + 1)


def whole(values: Tensor) -> Tensor:
    """Rounded down, but for what only rounding errors keep below a whole number; overwritten."""
    return values.add_(1e-3).floor_()
