"""What cameras and files do. Each takes float values (n, C, H, W) of 0..255, which it may overwrite."""

from __future__ import annotations

import torch
from torch import Tensor

from src.imageops import colour, filters, resampling, warp
from src.imageops import jpeg as jpeg_file


def brightness(values: Tensor, generator: torch.Generator, shift: float) -> Tensor:
    """HSV's value raised."""
    return colour.brighten(values, 255 * shift)


def contrast(values: Tensor, generator: torch.Generator, factor: float) -> Tensor:
    """Drawn towards the mean colour."""
    return colour.contrast(values, factor)


def saturate(values: Tensor, generator: torch.Generator, factor: float, shift: float) -> Tensor:
    """HSV's saturation changed; a grey image stays."""
    return colour.saturate(values, factor, shift)


def elastic_transform(
    values: Tensor, generator: torch.Generator, strength: float, sigma: float, jitter: float
) -> Tensor:
    """A random affine map, then each pixel displaced by smooth noise; lengths are shares of the shorter side.

    Three corners of a square, a third of the side from the middle, are moved each by its own random step.
    """
    count, _, height, width = values.shape
    side = min(height, width)
    reach = side // 3
    middle = torch.tensor([width // 2, height // 2])
    corners = middle + torch.tensor([[reach, reach], [reach, -reach], [-reach, -reach]])
    moved = corners + (torch.rand(count, 3, 2, generator=generator) * 2 - 1) * jitter * side
    ones = torch.ones(count, 3, 1)
    inverse = torch.linalg.solve(torch.cat([moved, ones], 2).double(), corners.double().expand(count, 3, 2)).float()
    values = warp.affine(values, inverse)
    if not strength:
        return values
    noise = torch.rand(count, 2, height, width, generator=generator).to(values.device).mul_(2).sub_(1)
    shifts = filters.gaussian(noise, sigma * side, border="symmetric", truncate=3.0)
    return warp.displace(values, shifts.mul(strength * side))


def jpeg_compression(values: Tensor, generator: torch.Generator, quality: float) -> Tensor:
    """Written and read at a quality."""
    return jpeg_file.jpeg(values, int(quality))


def pixelate(values: Tensor, generator: torch.Generator, share: float) -> Tensor:
    """Made smaller and larger again, in blocks."""
    return resampling.pixelate(values, share)
