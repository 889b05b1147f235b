"""Transformation-invariant pooling (Laptev et al., CVPR 2016, arXiv:1604.06318): one trunk for all turned copies.

Each feature is the largest that the trunk finds in any copy of the image. Where the angles are a group of turns, such
as the four quarter turns, a turn of the image by one of them only reorders the copies.
"""

import math
from collections import OrderedDict
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from src.core.errors import UserError
from src.networks.models.simple_conv import features_of, head, simple_layout, simple_trunk
from src.networks.models.spatial_transformer import resampled, rotations
from src.networks.options import TiPoolingOptions, dropouts


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
        count, turned = images.size(0), {}
        for rest, one_map in zip(self.rests, self.maps, strict=True):
            turned[rest] = resampled(images, one_map.expand(count, -1, -1)) if rest else images
        copies = [torch.rot90(turned[angle % 90], int(angle // 90), (2, 3)) for angle in self.angles]
        return torch.stack(copies, 1).flatten(0, 1)

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


def ti_pooling(options: TiPoolingOptions, classes: int, input_shape: Sequence[int]) -> nn.Sequential:
    """A SimpleConv whose convolutions see turned copies of square images; batch norm is over all copies.

    Modules: ``copies``, those of SimpleConv's trunk, on all copies of all images at once (n * copies rows), ``ti``
    (the largest over the copies), and those of its head.

    Raises:
        UserError: two angles are the same turn, an image is not square or is too small for the pools.
    """
    if len({angle % 360 for angle in options.angles}) < len(options.angles):
        raise UserError(f"model.angles={list(options.angles)}: two are the same turn; give each once")
    if input_shape[1] != input_shape[2]:
        raise UserError(f"model.input_shape={list(input_shape)}: ti_pooling turns the image; give square images")
    layout = simple_layout(options)
    rates = dropouts(options.dropout, len(layout.pools), 1)
    steps: OrderedDict[str, nn.Module] = OrderedDict(copies=RotatedCopies(options.angles, input_shape[1]))
    steps |= simple_trunk(layout, input_shape[0], options, rates)
    steps["ti"] = CopyMax(len(options.angles))
    steps |= head(features_of("ti_pooling", layout, input_shape, options.pool), layout, classes, rates)
    return nn.Sequential(steps)
