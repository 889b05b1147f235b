"""Blurs that are no product of rows and columns: out of focus, and by motion."""

import math
from collections.abc import Callable
from functools import lru_cache, reduce

import torch
import torch.nn.functional as F
from torch import Tensor

from src.imageops.filters import along_axes, filter_matrix, gaussian_weights
from src.imageops.warp import windows

FAINT = 1e-4  # of the largest weight: 0.03 grey levels at most


def disk(radius: float, softness: float) -> Tensor:
    """float32 (k, k), k odd: a disk that sums to 1, its edge softened by a Gaussian of `softness` pixels.

    The disk lies on a grid of 17x17 and the Gaussian has 3 taps (radius above 8: the grid is the disk's, with 5 taps),
    as in the benchmark of Hendrycks and Dietterich (ICLR 2019); zeros around it are cut off.
    """
    half, taps = (8, 1) if radius <= 8 else (math.ceil(radius), 2)
    steps = torch.arange(-half, half + 1)
    kernel = ((steps[:, None] ** 2 + steps**2) <= radius**2).float()
    soft = filter_matrix(2 * half + 1, gaussian_weights(softness, taps), "mirror")
    kernel = along_axes(kernel / kernel.sum(), soft, soft)
    used = int(steps[kernel.amax(0) > 1e-7].max())
    return kernel[half - used : half + used + 1, half - used : half + used + 1]


@lru_cache(maxsize=32)
def _through_disk(
    radius: float, softness: float, height: int, width: int, device: torch.device
) -> Callable[[Tensor], Tensor]:
    """What takes images (H, W) through the disk, by what is quickest: pairs of matrices, or its spectrum."""
    from scipy.fft import next_fast_len

    kernel = disk(radius, softness)
    left, weights, right = torch.linalg.svd(kernel.double())
    rank = int((weights > 1e-6 * weights[0]).sum())
    if rank * max(height, width) <= 256:
        pairs = [
            (
                filter_matrix(height, (left[:, index] * weights[index]).tolist(), "mirror").to(device),
                filter_matrix(width, right[index].tolist(), "mirror").to(device),
            )
            for index in range(rank)
        ]
        return lambda values: reduce(torch.add, (along_axes(values, *pair) for pair in pairs))
    begin = len(kernel) - 1  # the disk reaches half of it beyond each border
    size = tuple(next_fast_len(side + begin, real=True) for side in (height, width))
    spectrum = torch.fft.rfft2(kernel.flip(0, 1), s=size).to(device)

    def by_spectrum(values: Tensor) -> Tensor:
        padded = F.pad(values, [begin // 2] * 4, mode="reflect")
        turned = torch.fft.irfft2(torch.fft.rfft2(padded, s=size).mul_(spectrum), s=size)
        return turned[:, :, begin : begin + height, begin : begin + width]

    return by_spectrum


def defocus(values: Tensor, radius: float, softness: float) -> Tensor:
    """float (n, C, H, W) through a `disk`, mirrored at the border."""
    height, width = values.shape[2:]
    return _through_disk(radius, softness, height, width, values.device)(values)


def motion(values: Tensor, radius: int, sigma: float, angles: Tensor) -> Tensor:
    """Each image drawn out along its own direction, to one side, by a half Gaussian.

    The weighted mean of ``2 radius + 1`` copies, shifted by whole pixels, the nearest to steps of one pixel along the
    direction; beyond the border its last pixel goes on. This is ImageMagick's motion blur.

    Args:
        values: float (n, C, H, W).
        sigma: of the weights, in pixels.
        angles: (n,) in degrees, on the CPU; 0 takes from the right, 90 from below.
    """
    steps = torch.arange(2 * radius + 1, dtype=torch.float64)
    weights = torch.exp(-0.5 * (steps / sigma) ** 2)
    weights = weights[weights > FAINT]
    steps = steps[: len(weights)]
    turned = angles.double().deg2rad()[:, None]
    down = torch.ceil(steps * turned.sin() - 0.5).long()  # (n, taps)
    right = torch.ceil(steps * turned.cos() - 0.5).long()
    above, before = (max(0, -int(offsets.min())) for offsets in (down, right))
    below, after = (max(0, int(offsets.max())) for offsets in (down, right))
    padded = F.pad(values, [before, after, above, below], mode="replicate")
    height, width = values.shape[2:]
    shifted = (windows(padded, y + above, x + before, height, width) for y, x in zip(down.T, right.T, strict=True))
    out = torch.zeros_like(values)
    for copy, weight in zip(shifted, (weights / weights.sum()).tolist(), strict=True):
        out.add_(copy, alpha=weight)
    return out
