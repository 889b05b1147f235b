"""Affine maps of the plane, composed exactly, and images resampled through them, bilinear.

Coordinates are about the image's middle, x to the right and y down, the image's border half a pixel beyond the middle
of its outer pixels (``align_corners=False``). Linear parts are the same at any resolution, shifts are in widths and
heights, so that maps of another size than the image are moved by the same geometry.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from src.core.errors import UserError
from src.imageops.threads import portions
from src.imageops.transformations.family import Operator

KEPT = 16  # sizes of maps, there and back
NONE, TRANSPOSED, LEFT_RIGHT, UP_DOWN = -1, 4, 2, 1

Corner = Literal["fill", "reflect", "disc"]


@dataclass(frozen=True)
class Corners:
    """What is seen where a transformation moves something into the image from beyond its border.

    ``fill``: one value; ``reflect``: the image mirrored at its border; ``disc``: all but the inscribed disc filled, in
    all members alike, the identity too, so that corners cannot tell them apart; within the disc it is as ``reflect``.
    """

    kind: Corner = "fill"
    fill: float = 0.0

    @property
    def padding(self) -> str:
        """The padding mode of a sampling."""
        return "zeros" if self.kind == "fill" else "reflection"

    def disc(self, height: int, width: int) -> Tensor | None:
        """bool (H, W): pixels with their middle in the largest disc, which are kept; None: everything."""
        if self.kind != "disc":
            return None
        y, x = (torch.arange(side) - (side - 1) / 2 for side in (height, width))
        return y[:, None] ** 2 + x**2 <= min(height, width) ** 2 / 4


class Motions(NamedTuple):
    """Where m transformations move things: ``linear @ (x, y)`` plus a shift, both float64 on the CPU."""

    linear: Tensor  # (m, 2, 2)
    shift: Tensor  # (m, 2), in widths and heights


def pixel_maps(steps: Sequence[Motions], height: int, width: int) -> Tensor:
    """float64 (m, 2, 3): all ``steps`` one after another, in pixels: ``[linear | shift]``."""
    sides = torch.tensor([width, height], dtype=torch.float64)
    linear, shift = steps[0].linear, steps[0].shift * sides
    for step in steps[1:]:
        linear, shift = step.linear @ linear, (step.linear @ shift[:, :, None])[:, :, 0] + step.shift * sides
    return torch.cat([linear, shift[:, :, None]], 2)


def inverse(maps: Tensor) -> Tensor:
    """The inverses of pixel maps (m, 2, 3)."""
    (a, b, x), (c, d, y) = (row.unbind(1) for row in maps.unbind(1))
    # by hand, so that those of rotations by 90 degrees have exact zeros
    adjugate = torch.stack([d, -b, b * y - d * x, -c, a, c * x - a * y], 1).view(-1, 2, 3)
    return adjugate / (a * d - b * c)[:, None, None]


def sampling_grid(sources: Tensor, height: int, width: int) -> Tensor:
    """float64 (m, H, W, 2) as `grid_sample` takes it, of pixel maps (m, 2, 3) from a pixel to where its value is."""
    sides = torch.tensor([width, height, 2], dtype=sources.dtype, device=sources.device)
    return F.affine_grid(sources * sides / sides[:2, None], [len(sources), 1, height, width], align_corners=False)


def symmetries(maps: Tensor) -> Tensor:
    """int64 (m,): for each pixel map (m, 2, 3) which symmetry of the square it is to the bit; or `NONE`.

    The eight symmetries move pixels onto pixels, exactly: each is a sum of transposing and then flipping.
    """
    linear, shift = maps[:, :, :2], maps[:, :, 2]
    upright, crossed = torch.eye(2, dtype=maps.dtype), torch.eye(2, dtype=maps.dtype).flip(0)
    lies = (linear.abs() == crossed).all(2).all(1)
    exact = ((linear.abs() == upright).all(2).all(1) | lies) & (shift == 0).all(1)
    negative = linear.sum(2) < 0
    code = TRANSPOSED * lies.long() + LEFT_RIGHT * negative[:, 0].long() + UP_DOWN * negative[:, 1].long()
    return code.where(exact, NONE)


def moved(values: Tensor, symmetry: int) -> Tensor:
    """(..., H, W) through one of the eight symmetries, W == H where it is transposed."""
    if symmetry & TRANSPOSED:
        values = values.transpose(-1, -2)
    flipped = [axis for bit, axis in ((LEFT_RIGHT, -1), (UP_DOWN, -2)) if symmetry & bit]
    return values.flip(flipped) if flipped else values


class Places(NamedTuple):
    """Where the values of maps of one size come from; what no member needs is None."""

    symmetry: Tensor  # int64 (T,), on the CPU
    grid: Tensor | None  # (T, h, w, 2)
    beyond: Tensor | None  # (T, 1, h, w), what comes from beyond the border: the fill value times its share


class Warp(Operator):
    """Transformations that are affine, through one interpolation however many they are made of.

    Args:
        steps: their parts, in order.
        corners: what is seen from beyond the border.
        where: the description, in messages.
    """

    def __init__(self, steps: Sequence[Motions], corners: Corners, where: str) -> None:
        self.steps, self.corners, self.where = list(steps), corners, where
        self._places = lru_cache(KEPT)(self._find_places)

    def apply(self, images: Tensor, members: Sequence[int]) -> Tensor:
        return self._moved(images, members, False, self.corners.padding, filled=True)

    def undo(self, maps: Tensor, members: Sequence[int]) -> Tensor:
        return self._moved(maps, members, True, self.corners.padding)

    def content(self, shares: Tensor, members: Sequence[int], back: bool) -> Tensor:
        made = self._moved(shares, members, back, "zeros")
        disc = self.corners.disc(*shares.shape[3:])
        return made if disc is None else made.mul_(disc)

    def _moved(self, maps: Tensor, members: Sequence[int], back: bool, padding: str, filled: bool = False) -> Tensor:
        """(n, m, C, h, w) -> the same, in contiguous memory; ``filled``: with the fill value, else 0, in corners."""
        count, chosen, channels, height, width = maps.shape
        places, which = self._places(height, width, maps.dtype, maps.device, back), list(members)
        grid, beyond = (_rows(part, which) for part in places[1:])
        symmetry = places.symmetry[which]
        groups = [(int(one), (symmetry == one).nonzero()[:, 0].to(maps.device)) for one in symmetry.unique()]
        disc = self.corners.disc(height, width) if filled else None
        outside = None if disc is None else ~disc.to(maps.device)
        made = torch.empty(maps.shape, dtype=maps.dtype, device=maps.device)
        for rows in portions(count, chosen * channels * height * width, maps.device):
            for one, those in groups:
                if one == NONE and grid is not None:
                    # the exact members are written over: to pick the others costs as much
                    made[rows] = _sampled(maps[rows], grid, padding)
                    if beyond is not None and filled:
                        made[rows] += beyond
                else:
                    made[rows, those] = moved(maps[rows, those], one)
            if outside is not None:
                made[rows].masked_fill_(outside, self.corners.fill)
        return made

    def _find_places(self, height: int, width: int, dtype: torch.dtype, device: torch.device, back: bool) -> Places:
        there = pixel_maps(self.steps, height, width)
        away = inverse(there)
        symmetry = symmetries(away if back else there)
        if height != width and bool((symmetry >= TRANSPOSED).any()):
            raise UserError(
                f"{self.where}: a rotation by 90 degrees changes the size of {height}x{width} images; "
                "take square images, or angles without 90"
            )
        if not bool((symmetry == NONE).any()):
            return Places(symmetry, None, None)
        grid = sampling_grid((there if back else away).to(device), height, width)
        if back or self.corners.padding != "zeros" or not self.corners.fill:
            return Places(symmetry, grid.to(dtype), None)
        within = torch.ones(1, 1, 1, height, width, dtype=grid.dtype, device=device).expand(1, len(grid), 1, -1, -1)
        beyond = self.corners.fill * (1 - _sampled(within, grid, "zeros")[0])
        return Places(symmetry, grid.to(dtype), beyond.to(dtype))


def _rows(values: Tensor | None, rows: list[int]) -> Tensor | None:
    """Some rows in order; the values themselves where those are all."""
    if values is None or rows == list(range(len(values))):
        return values
    return values[torch.tensor(rows, device=values.device)]


def _sampled(maps: Tensor, grid: Tensor, padding: str) -> Tensor:
    """(n, m, C, h, w) -> a view of that shape: one grid (m, h, w, 2) for all images and channels of a member."""
    count, chosen, channels, height, width = maps.shape
    if maps.stride(1) == 0:  # one image for all members, which is not to be copied
        planes = maps[:, 0].reshape(1, -1, height, width).expand(chosen, -1, -1, -1)
    else:
        planes = maps.transpose(0, 1).reshape(chosen, -1, height, width)
    made = F.grid_sample(planes, grid, mode="bilinear", padding_mode=padding, align_corners=False)
    return made.view(chosen, count, channels, height, width).transpose(0, 1)
