"""What JPEG compression does to images, batched: as libjpeg writes and reads them, without the lossless part.

ITU-T T.81: luma and chroma by BT.601, chroma halved in both directions (4:2:0), 8x8 cosine transforms, quantisation
by the example tables of its Annex K scaled by the quality as libjpeg does, and back, chroma enlarged by libjpeg's
triangle filter. Intermediate values are rounded where libjpeg rounds; its transforms work with whole numbers and ours
with floats, so that single values may differ by a few levels.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from src.imageops.filters import to_bytes

# fmt: off
LUMINANCE = (
    16, 11, 10, 16, 24, 40, 51, 61,
    12, 12, 14, 19, 26, 58, 60, 55,
    14, 13, 16, 24, 40, 57, 69, 56,
    14, 17, 22, 29, 51, 87, 80, 62,
    18, 22, 37, 56, 68, 109, 103, 77,
    24, 35, 55, 64, 81, 104, 113, 92,
    49, 64, 78, 87, 103, 121, 120, 101,
    72, 92, 95, 98, 112, 100, 103, 99,
)
CHROMINANCE = (
    17, 18, 24, 47, 99, 99, 99, 99,
    18, 21, 26, 66, 99, 99, 99, 99,
    24, 26, 56, 99, 99, 99, 99, 99,
    47, 66, 99, 99, 99, 99, 99, 99,
    *[99] * 32,
)
# fmt: on


def quantisation(table: tuple[int, ...], quality: int) -> list[int]:
    """The 64 steps of a table at a quality of 1..100."""
    percent = 5000 // quality if quality < 50 else 200 - 2 * quality
    return [min(max((step * percent + 50) // 100, 1), 255) for step in table]


def _cosines() -> Tensor:
    """float64 (8, 8): the orthonormal cosine transform of a line."""
    frequency, place = torch.arange(8.0, dtype=torch.float64)[:, None], torch.arange(8.0, dtype=torch.float64)
    line = 0.5 * torch.cos((2 * place + 1) * frequency * math.pi / 16)
    line[0] /= math.sqrt(2)
    return line


class _Transforms(NamedTuple):
    """Of lines of 8 values that lie in place: nothing is moved together into blocks."""

    right: Tensor  # (8 k, 8 k), k blocks side by side, to four times what libjpeg has between rows and columns
    down: Tensor  # (8, 8), of that to coefficients times 8
    steps: Tensor  # (8, W), of the coefficients times 8
    whole_steps: Tensor  # (8, W)
    up: Tensor  # (8, 8), back
    left: Tensor  # (8 k, 8 k)


@lru_cache(maxsize=64)
def _transforms(table: tuple[int, ...], quality: int, width: int, device: torch.device) -> _Transforms:
    line = _cosines()
    side_by_side = torch.eye(math.gcd(width // 8, 2), dtype=torch.float64)  # a product of 8 columns is a slow one
    steps = torch.tensor(quantisation(table, quality), dtype=torch.float64).view(8, 8).repeat(1, width // 8)
    parts = (
        4 * math.sqrt(8) * torch.kron(side_by_side, line.T.contiguous()),
        math.sqrt(8) / 4 * line,
        # a coefficient halfway between two steps goes away from zero: the step a trifle smaller
        8 * (1 - 1e-6) * steps,
        steps,
        line.T,
        torch.kron(side_by_side, line),
    )
    return _Transforms(*(part.float().contiguous().to(device) for part in parts))


def _compressed(planes: Tensor, table: tuple[int, ...], quality: int) -> Tensor:
    """Whole numbers float (n, H, W), centred on 0, sides multiples of 8: what is read back, in 0..255."""
    count, height, width = planes.shape
    right, down, steps, whole_steps, up, left = _transforms(table, quality, width, planes.device)
    lines = (planes.reshape(-1, len(right)) @ right).round_()  # as libjpeg rounds between rows and columns
    bands = (down @ lines.view(-1, 8, width)).round_()
    bands = up @ bands.div_(steps).round_().mul_(whole_steps)
    lines = (bands.view(-1, len(left)) @ left).add_(128.5).floor_().clamp_(0, 255)
    return lines.view(count, height, width)


def _halved(planes: Tensor) -> Tensor:
    """(..., H, W) -> (n, H/2, W/2): means of four, halves rounded down and up in turn from column to column."""
    total = (planes[..., ::2, :] + planes[..., 1::2, :]).flatten(0, -3)
    total = total[:, :, ::2] + total[:, :, 1::2]
    bias = 1 + torch.arange(total.shape[2], device=planes.device) % 2
    return total.add_(bias).mul_(0.25).floor_()


def _doubled(planes: Tensor) -> Tensor:
    """(n, H, W) -> (n, 2 H, 2 W): each half pixel takes three quarters of its own value and one of the next.

    Halves are rounded up in even columns, and down in odd ones.
    """
    count, height, width = planes.shape
    tall = planes.new_empty(count, height, 2, width)
    _write_halves(planes * (1 / 16), 1, tall[:, :, 0], tall[:, :, 1])
    tall = tall.view(count, 2 * height, width)
    before, after = torch.empty_like(tall), torch.empty_like(tall)
    _write_halves(tall, 2, before, after)
    # the quickest way to lay columns between columns
    large = torch.complex(before.add_(8 / 16).floor_(), after.add_(7 / 16).floor_())
    return torch.view_as_real(large).view(count, 2 * height, 2 * width)


def _write_halves(planes: Tensor, axis: int, first: Tensor, second: Tensor) -> None:
    """The first and the second half of each pixel of (n, H, W) along an axis, times 4."""
    length = planes.shape[axis] - 1
    torch.mul(planes, 3, out=first)
    torch.mul(planes, 3, out=second)
    first.narrow(axis, 1, length).add_(planes.narrow(axis, 0, length))
    first.narrow(axis, 0, 1).add_(planes.narrow(axis, 0, 1))
    second.narrow(axis, 0, length).add_(planes.narrow(axis, 1, length))
    second.narrow(axis, length, 1).add_(planes.narrow(axis, length, 1))


def jpeg(values: Tensor, quality: int) -> Tensor:
    """Images compressed and read back.

    Args:
        values: float (n, C, H, W), C 1 or 3, of whole numbers in 0..255; overwritten.
        quality: 1..100, as libjpeg's.

    Returns:
        uint8 (n, C, H, W).
    """
    channels, height, width = values.shape[1:]
    unit = 8 if channels == 1 else 16
    if height % unit or width % unit:
        values = F.pad(values, [0, -width % unit, 0, -height % unit], mode="replicate")
    if channels == 1:
        return to_bytes(_compressed(values[:, 0] - 128, LUMINANCE, quality)[:, None, :height, :width])
    red, green, blue = values.unbind(1)
    y = (red * 0.299).add_(green, alpha=0.587).add_(blue, alpha=0.114)
    # differences from the luma before it is rounded, in place of red and blue
    red.sub_(y).mul_(0.5 / 0.701).round_()
    blue.sub_(y).mul_(0.5 / 0.886).round_()
    colour = _compressed(_halved(values[:, ::2]), CHROMINANCE, quality).sub_(128)
    y = _compressed(y.round_().sub_(128), LUMINANCE, quality).add_(0.5)
    half_height, half_width = -(-height // 2), -(-width // 2)
    colour = _doubled(colour[:, :half_height, :half_width])[:, :height, :width].unflatten(0, (-1, 2))
    cr, cb = colour.unbind(1)
    y = y[:, :height, :width]
    red, green, blue = (plane[:, :height, :width] for plane in (red, green, blue))
    torch.add(y, cr, alpha=1.402, out=red)
    torch.add(y, cb, alpha=-0.344136286, out=green).add_(cr, alpha=-0.714136286)
    torch.add(y, cb, alpha=1.772, out=blue)
    return to_bytes(values)[:, :, :height, :width].contiguous()
