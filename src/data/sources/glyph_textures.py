"""Surface patterns in [-1, 1] for a batch of pixel grids; the row decides the pattern, no row is looped over."""

import math
from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor

_TURN = 2 * math.pi
Texture = Literal["solid", "stripes", "checks", "dots", "noise", "grid", "zigzag", "rings"]


def _noise(u: Tensor, v: Tensor) -> Tensor:
    # an integer hash of the cell: the same on every machine, which sines of large numbers are not
    cell = (2 * u).floor().long() * 374761393 + (2 * v).floor().long() * 668265263
    cell = ((cell ^ (cell >> 13)) * 1274126177) & 0x7FFFFFFF
    return ((cell ^ (cell >> 16)) & 0xFF).to(u.dtype) / 127.5 - 1


TEXTURES: dict[Texture, Callable[[Tensor, Tensor], Tensor]] = {
    "solid": lambda u, v: torch.zeros_like(u),
    "stripes": lambda u, v: (2 * torch.sin(_TURN * u)).clamp(-1, 1),
    "checks": lambda u, v: (3 * torch.sin(_TURN / 1.4 * u) * torch.sin(_TURN / 1.4 * v)).clamp(-1, 1),
    "dots": lambda u, v: (2 * (torch.cos(_TURN * u) + torch.cos(_TURN * v)) - 1).clamp(-1, 1),
    "noise": _noise,
    "grid": lambda u, v: (3 * torch.maximum(torch.cos(_TURN / 1.3 * u), torch.cos(_TURN / 1.3 * v)) - 2).clamp(-1, 1),
    "zigzag": lambda u, v: (2 * torch.sin(_TURN * (u + (torch.remainder(v, 2) - 1).abs()))).clamp(-1, 1),
    "rings": lambda u, v: (2 * torch.sin(_TURN * torch.hypot(u, v))).clamp(-1, 1),
}
"""Texture name -> pattern of the coordinates u, v in periods."""


def pattern(kind: Tensor, u: Tensor, v: Tensor) -> Tensor:
    """Pattern (n, H, W) of each row: index int64 (n,) into `TEXTURES`, at coordinates u, v (n, H, W) in periods."""
    values = torch.zeros_like(u)
    for number, texture in enumerate(TEXTURES.values()):
        rows = (kind == number).nonzero().squeeze(1)
        if len(rows):
            values[rows] = texture(u[rows], v[rows])
    return values
