"""Transformation-invariant pooling (Laptev et al., CVPR 2016, arXiv:1604.06318): one trunk for all turned copies.

Each feature is the largest that the trunk finds in any copy of the image. Where the angles are a group of turns, such
as the four quarter turns, a turn of the image by one of them only reorders the copies.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from src.core.errors import UserError
from src.networks.models.dropouts import dropouts
from src.networks.models.registry import register
from src.networks.models.simple_conv import features_of, head, simple_layout, trunk
from src.networks.models.spatial_transformer import resampled, rotations

QUARTERS = (0, 90, 180, 270)


class RotatedCopies(nn.Module):
    """Copies turned counterclockwise by angles in degrees: square images (n, C, S, S) to (n * angles, C, S, S).

    The copies of an image follow each other. Quarter turns are exact; what is left of an angle is a bilinear
    resampling, in which the image goes on beyond its border as at the border.
    """

    maps: Tensor

    def __init__(self, angles: Sequence[float], side: int) -> None:
        super().__init__()
        self.angles = tuple(angle % 360 for angle in angles)
        self.rests = tuple(sorted({angle % 90 for angle in self.angles}))
        maps = rotations(torch.tensor([math.radians(rest) for rest in self.rests]), side, side)
        self.register_buffer("maps", maps, persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        turned = {rest: self._by_rest(images, place) for place, rest in enumerate(self.rests)}
        copies = [torch.rot90(turned[angle % 90], int(angle // 90), (2, 3)) for angle in self.angles]
        return torch.stack(copies, 1).flatten(0, 1)

    def _by_rest(self, images: Tensor, place: int) -> Tensor:
        if self.rests[place] == 0:
            return images
        return resampled(images, self.maps[place].expand(images.size(0), -1, -1))

    def extra_repr(self) -> str:
        return ", ".join(f"{angle:g}" for angle in self.angles)


class CopyMax(nn.Module):
    """The largest over the copies of each image: (n * copies, C, H, W) to (n, C, H, W)."""

    def __init__(self, copies: int) -> None:
        super().__init__()
        self.copies = copies

    def forward(self, x: Tensor) -> Tensor:
        # amax, because equal copies share its gradient: a symmetric image prefers none
        return x.unflatten(0, (-1, self.copies)).amax(1)

    def extra_repr(self) -> str:
        return str(self.copies)


@register("ti_pooling")
def ti_pooling(
    classes: int,
    input_shape: Sequence[int],
    width: float = 1.0,
    batch_norm: bool = False,
    dropout: float | Mapping[str, Any] | None = None,
    pools: Sequence[int] | None = None,
    kernels: int = 32,
    hidden: int = 64,
    pool: str = "max",
    angles: Sequence[float] = QUARTERS,
) -> nn.Sequential:
    """A SimpleConv whose convolutions see turned copies: square images float (n, C, S, S) to logits (n, classes).

    Modules: ``copies``, those of SimpleConv's trunk, on all copies of all images at once (n * copies rows), ``ti``
    (the largest over the copies), and those of its head.

    Args:
        width, batch_norm, dropout, pools, kernels, hidden, pool: see `src.networks.models.simple_conv.simple_conv`;
            batch norm takes its mean and variance over all copies.
        angles: of the copies, degrees counterclockwise. The logits stay the same under quarter turns where with each
            angle also the angle and 90 degrees is there.

    Raises:
        UserError: a value that is not allowed, an image that is not square or is too small for the pools.
    """
    _check_angles(angles)
    if input_shape[1] != input_shape[2]:
        raise UserError(f"model.input_shape={list(input_shape)}: ti_pooling turns the image; give square images")
    layout = simple_layout(kernels, hidden, width, pools)
    rates = dropouts(dropout, len(layout.pools), 1, {})
    steps: OrderedDict[str, nn.Module] = OrderedDict(copies=RotatedCopies(angles, input_shape[1]))
    steps |= trunk(layout, input_shape[0], batch_norm, pool, rates)
    steps["ti"] = CopyMax(len(angles))
    steps |= head(features_of("ti_pooling", layout, input_shape, pool), layout, classes, rates)
    return nn.Sequential(steps)


def _check_angles(angles: Sequence[float]) -> None:
    if isinstance(angles, str) or not isinstance(angles, Sequence) or not angles:
        raise UserError(f"model.angles={angles}: give a list of degrees, such as {list(QUARTERS)}")
    for angle in angles:
        if not isinstance(angle, int | float) or isinstance(angle, bool) or not math.isfinite(angle):
            raise UserError(f"model.angles={list(angles)}: {angle} is no angle; give degrees, such as {list(QUARTERS)}")
    if len({angle % 360 for angle in angles}) < len(angles):
        raise UserError(f"model.angles={list(angles)}: two are the same turn; give each once")
