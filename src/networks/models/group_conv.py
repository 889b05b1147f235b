"""Convolutions over the group p4 of shifts and quarter turns (Cohen and Welling, ICML 2016, arXiv:1602.07576).

A map has four channels per kernel, one for each orientation in which the kernel is laid over the image: channel
``4 k + r`` belongs to kernel ``k`` turned by ``90 r`` degrees. A quarter turn of the image turns the maps and moves
each orientation on to the next. The largest over orientations turns with the image, and its mean over positions stays.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from src.core.errors import UserError
from src.networks.models.layout import Layout
from src.networks.models.pooling import GlobalAverage
from src.networks.models.simple_conv import trunk
from src.networks.options import GroupConvOptions, dropouts

TURNS = 4


class P4Lifting(nn.Conv2d):
    """The first convolution, from an image to oriented maps: (n, C, H, W) to (n, 4 K, H, W)."""

    def __init__(self, channels: int, kernels: int, bias: bool = True) -> None:
        super().__init__(channels, kernels, 3, padding=1, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        turned = torch.stack([torch.rot90(self.weight, turn, (2, 3)) for turn in range(TURNS)], 1)
        return _convolved(x, turned.flatten(0, 1), self.bias)


class P4Convolution(nn.Conv2d):
    """From oriented maps to oriented maps: (n, 4 C, H, W) to (n, 4 K, H, W); each kernel reads all orientations."""

    def __init__(self, channels: int, kernels: int, bias: bool = True) -> None:
        super().__init__(TURNS * channels, kernels, 3, padding=1, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        weight = self.weight.unflatten(1, (-1, TURNS))
        # a kernel that is turned reads, where it read orientation s, orientation s + turn
        turned = torch.stack([torch.rot90(weight.roll(turn, 2), turn, (3, 4)) for turn in range(TURNS)], 1)
        return _convolved(x, turned.flatten(2, 3).flatten(0, 1), self.bias)


def _convolved(x: Tensor, kernels: Tensor, bias: Tensor | None) -> Tensor:
    return F.conv2d(x, kernels, None if bias is None else bias.repeat_interleave(TURNS), padding=1)


class P4Norm(nn.BatchNorm2d):
    """Batch norm of oriented maps (n, 4 K, H, W) with one mean and variance per kernel, shared by its orientations."""

    def forward(self, x: Tensor) -> Tensor:
        stacked = x.unflatten(1, (-1, TURNS)).flatten(2, 3)  # orientations as further rows
        return super().forward(stacked).unflatten(2, (TURNS, -1)).flatten(1, 2)

    def _check_input_dim(self, input: Tensor) -> None:
        """Nothing: the shape is made above, and a check of it could not be traced."""


class OrientationMax(nn.Module):
    """The largest over the four orientations: (n, 4 K, H, W) to (n, K, H, W)."""

    def forward(self, x: Tensor) -> Tensor:
        # amax, because equal orientations share its gradient: a symmetric image prefers none
        return x.unflatten(1, (-1, TURNS)).amax(2)


def p4_conv(options: GroupConvOptions, classes: int, input_shape: Sequence[int]) -> nn.Sequential:
    """A network whose logits stay the same under quarter turns of the square image, up to float rounding.

    Modules: ``c1`` (lifting), ``c1norm``, ``c1act``, ``c2``, ... ``mp1``, ..., ``gp`` (largest over orientations),
    ``ap`` (mean over positions), ``fc1``. ``mp1drop`` follows ``mp1``, ``fc1drop`` comes before ``fc1``; in training
    dropout after a pool breaks the symmetry.

    Raises:
        UserError: an image that is not square, or a pool of a map with an odd side.
    """
    side, batch_norm = input_shape[1], options.batch_norm
    if input_shape[2] != side:
        raise UserError(f"model.input_shape={list(input_shape)}: p4_conv turns with the image; give square images")
    pools = _pools(len(options.kernels), side) if options.pools is None else options.pools
    layout = Layout(options.kernels).sized(options.width, pools)
    for place, index in enumerate(layout.pools):
        if (side >> place) % 2:
            raise UserError(
                f"model.pools={layout.pools}: the map after convolution {index} has {side >> place} rows, and a "
                f"pool of an odd number does not commute with quarter turns; take pools={layout.pools[:place]}"
            )
    rates = dropouts(options.dropout, len(layout.pools), 0)

    def block(index: int, inputs: int, kernels: int) -> dict[str, nn.Module]:
        name, kind = f"c{index + 1}", P4Convolution if index else P4Lifting
        norm = {f"{name}norm": P4Norm(kernels)} if batch_norm else {}
        return {name: kind(inputs, kernels, bias=not batch_norm), **norm, f"{name}act": nn.ReLU()}

    steps = trunk(layout, input_shape[0], rates.pools, block, lambda number, _: (f"mp{number + 1}", nn.MaxPool2d(2)))
    steps |= {"gp": OrientationMax(), "ap": GlobalAverage()}
    if rates.flatten:
        steps["fc1drop"] = nn.Dropout(rates.flatten)
    steps["fc1"] = nn.Linear(layout.kernels[-1], classes)
    return nn.Sequential(steps)


def _pools(convolutions: int, side: int) -> list[int]:
    """Every second convolution but the last, while the map's side is even."""
    halvings = next(count for count in range(side) if (side >> count) % 2)
    return list(range(1, convolutions - 1, 2))[:halvings]
