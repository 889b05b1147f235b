"""Blurs that are no product of rows and columns: out of focus, and by motion."""

from __future__ import annotations

import math
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor

from src.imageops.filters import along_axes, filter_matrix, gaussian_weights
from src.imageops.windows import windows

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


class _Parts:
    """A kernel as what is quickest to apply to images (H, W): pairs of matrices, or its spectrum."""

    def __init__(self, kernel: Tensor, height: int, width: int, device: torch.device) -> None:
        self.reach = len(kernel) // 2
        left, weights, right = torch.linalg.svd(kernel.double())
        rank = int((weights > 1e-6 * weights[0]).sum())
        self.pairs: list[tuple[Tensor, Tensor]] = []
        if rank * max(height, width) <= 256:
            for index in range(rank):
                rows = (left[:, index] * weights[index]).tolist()
                columns = right[index].tolist()
                self.pairs.append(
                    (
                        filter_matrix(height, rows, "mirror").to(device),
                        filter_matrix(width, columns, "mirror").to(device),
                    )
                )
        else:
            self.size = tuple(_smooth(side + 2 * self.reach) for side in (height, width))
            self.spectrum = torch.fft.rfft2(kernel.flip(0, 1), s=self.size).to(device)

    def apply(self, values: Tensor) -> Tensor:
        if self.pairs:
            return sum((along_axes(values, *pair) for pair in self.pairs[1:]), along_axes(values, *self.pairs[0]))
        height, width = values.shape[2:]
        padded = F.pad(values, [self.reach] * 4, mode="reflect")
        turned = torch.fft.irfft2(torch.fft.rfft2(padded, s=self.size).mul_(self.spectrum), s=self.size)
        begin = 2 * self.reach
        return turned[:, :, begin : begin + height, begin : begin + width]


@lru_cache(maxsize=32)
def _disk_parts(radius: float, softness: float, height: int, width: int, device: torch.device) -> _Parts:
    return _Parts(disk(radius, softness), height, width, device)


def defocus(values: Tensor, radius: float, softness: float) -> Tensor:
    """float (n, C, H, W) through a `disk`, mirrored at the border."""
    height, width = values.shape[2:]
    return _disk_parts(radius, softness, height, width, values.device).apply(values)


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
    out: Tensor | None = None
    for tap, weight in enumerate((weights / weights.sum()).tolist()):
        shifted = windows(padded, down[:, tap] + above, right[:, tap] + before, height, width)
        out = shifted.mul_(weight) if out is None else out.add_(shifted, alpha=weight)
    assert out is not None
    return out


def _smooth(length: int) -> int:
    """The next length with no prime factor above 5, which Fourier transforms like."""
    while True:
        rest = length
        for prime in (2, 3, 5):
            while rest % prime == 0:
                rest //= prime
        if rest == 1:
            return length
        length += 1
