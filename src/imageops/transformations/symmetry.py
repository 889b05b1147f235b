"""The eight symmetries of the square, which move pixels onto pixels: exact, and without interpolation."""

from __future__ import annotations

import torch
from torch import Tensor

NONE, TRANSPOSED, LEFT_RIGHT, UP_DOWN = -1, 4, 2, 1


def symmetries(maps: Tensor) -> Tensor:
    """int64 (m,): for each pixel map (m, 2, 3) what of transposing and then flipping it is, as a sum; or `NONE`.

    Args:
        maps: about the image's middle, x to the right and y down; only what is equal to the bit counts.
    """
    linear, shift = maps[:, :, :2], maps[:, :, 2]
    upright, crossed = torch.eye(2, dtype=maps.dtype), torch.eye(2, dtype=maps.dtype).flip(0)
    lies = (linear.abs() == crossed).all(2).all(1)
    exact = ((linear.abs() == upright).all(2).all(1) | lies) & (shift == 0).all(1)
    negative = linear.sum(2) < 0
    code = TRANSPOSED * lies.long() + LEFT_RIGHT * negative[:, 0].long() + UP_DOWN * negative[:, 1].long()
    return code.where(exact, NONE)


def moved(values: Tensor, symmetry: int) -> Tensor:
    """(..., H, W) through one of the eight, W == H where it is transposed."""
    if symmetry & TRANSPOSED:
        values = values.transpose(-1, -2)
    flipped = [axis for bit, axis in ((LEFT_RIGHT, -1), (UP_DOWN, -2)) if symmetry & bit]
    return values.flip(flipped) if flipped else values
