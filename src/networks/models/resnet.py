"""Residual networks of any depth with a stem for small images (He et al. 2016, arXiv:1512.03385).

The presets ``conf/model/resnet{18,34,50}.yaml`` are the networks of the study of invariances (Quiroga et al. 2019,
doi 10.1007/978-3-030-27713-0_9). Those with a stem for large images: ``torchvision:resnet18``.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from torch import Tensor, nn

from src.core.errors import UserError
from src.networks.models.checks import whole_number
from src.networks.models.dropouts import dropouts
from src.networks.models.layout import Add, Layout
from src.networks.models.pooling import GlobalAverage
from src.networks.models.registry import register

FIRST = 64  # kernels of the stem and of the first stage; each further stage has twice as many
EXPANSION = 4  # outputs of a bottleneck per kernel inside


class Block(nn.Module):
    """A path of convolutions whose output is added to the block's input before the last ReLU.

    Modules: ``c0``, ``c0norm``, ``c0act``, ``c1``, ... without a ReLU after the last convolution, then ``short`` (with
    batch norm ``shortconv`` and ``short``; the identity where nothing changes shape), ``sum`` and ``act``.
    """

    def __init__(self, channels: Sequence[int], sizes: Sequence[int], strides: Sequence[int], batch_norm: bool) -> None:
        """Kernels per convolution after those of the input, and the side and the stride of each convolution."""
        super().__init__()
        for index, ((inputs, outputs), size, stride) in enumerate(zip(pairwise(channels), sizes, strides, strict=True)):
            self._add(f"c{index}", inputs, outputs, size, stride, batch_norm)
            if index < len(sizes) - 1:
                self.add_module(f"c{index}act", nn.ReLU())
        self._path = list(self._modules)
        if channels[0] == channels[-1] and max(strides) == 1:
            self.short: nn.Module = nn.Identity()
        elif batch_norm:
            self.shortconv = nn.Conv2d(channels[0], channels[-1], 1, stride=max(strides), bias=False)
            self.short = nn.BatchNorm2d(channels[-1])
        else:
            self.short = nn.Conv2d(channels[0], channels[-1], 1, stride=max(strides))
        self._shortcut = [name for name in self._modules if name not in self._path]
        self.sum, self.act = Add(), nn.ReLU()

    def _add(self, name: str, inputs: int, outputs: int, size: int, stride: int, batch_norm: bool) -> None:
        convolution = nn.Conv2d(inputs, outputs, size, stride, padding=size // 2, bias=not batch_norm)
        self.add_module(name, convolution)
        if batch_norm:
            self.add_module(f"{name}norm", nn.BatchNorm2d(outputs))

    def forward(self, x: Tensor) -> Tensor:
        short = x
        for name in self._path:
            x = getattr(self, name)(x)
        for name in self._shortcut:
            short = getattr(self, name)(short)
        return self.act(self.sum(x, short))


def _stage(inputs: int, kernels: int, blocks: int, stride: int, bottleneck: bool, batch_norm: bool) -> nn.Sequential:
    outputs = kernels * EXPANSION if bottleneck else kernels
    steps: OrderedDict[str, nn.Module] = OrderedDict()
    for index in range(blocks):
        if bottleneck:
            steps[f"b{index}"] = Block((inputs, kernels, kernels, outputs), (1, 3, 1), (1, stride, 1), batch_norm)
        else:
            steps[f"b{index}"] = Block((inputs, kernels, outputs), (3, 3), (stride, 1), batch_norm)
        inputs, stride = outputs, 1
    return nn.Sequential(steps)


@register("resnet")
def resnet(
    classes: int,
    input_shape: Sequence[int],
    width: float = 1.0,
    batch_norm: bool = True,
    dropout: float | Mapping[str, Any] | None = None,
    pools: Sequence[int] | None = None,
    blocks: Sequence[int] = (2, 2, 2, 2),
    bottleneck: bool = False,
) -> nn.Sequential:
    """A residual network: maps images float (n, C, H, W) of any size to logits (n, classes).

    Modules: ``c0``, ``c0norm``, ``c0act``, ``l1.b0.c0``, ... (see :class:`Block`), ``avgp``, ``fc0``; ``fc0drop``
    comes before ``fc0``.

    Args:
        width: multiplies the kernels, 64 in the first stage and twice as many in each that follows.
        batch_norm: after each convolution, instead of its bias.
        dropout: rate before the linear layer (``flatten``); None: none.
        pools: stages (the first is 0) whose first block has stride 2, which halves the map (rounded up); None: all
            but the first.
        blocks: of each stage: [2, 2, 2, 2] is ResNet-18, [3, 4, 6, 3] ResNet-34, and with ``bottleneck`` ResNet-50.
        bottleneck: blocks of a 1x1, a 3x3 and a 1x1 convolution with four times the kernels, instead of two 3x3; the
            3x3 convolution has the stride.

    Raises:
        UserError: a value that is not allowed.
    """
    counts = [whole_number("blocks", count) for count in blocks]
    if not counts:
        raise UserError("model.blocks=[]: give the number of blocks of at least one stage")
    halved = range(1, len(counts)) if pools is None else pools
    for stage in halved:
        if stage not in range(len(counts)):
            raise UserError(f"model.pools={list(halved)}: the stages are numbered 0 to {len(counts) - 1}")
    rate = dropouts(dropout, 0, 0, {}).flatten
    scaled = Layout(tuple(FIRST << stage for stage in range(len(counts)))).scaled(width)
    kernels = [token for token in scaled.tokens if isinstance(token, int)]
    channels = kernels[0]
    steps: OrderedDict[str, nn.Module] = OrderedDict()
    steps["c0"] = nn.Conv2d(input_shape[0], channels, 3, padding=1, bias=not batch_norm)
    if batch_norm:
        steps["c0norm"] = nn.BatchNorm2d(channels)
    steps["c0act"] = nn.ReLU()
    for stage, (own, count) in enumerate(zip(kernels, counts, strict=True)):
        steps[f"l{stage + 1}"] = _stage(channels, own, count, 1 + (stage in halved), bottleneck, batch_norm)
        channels = own * EXPANSION if bottleneck else own
    steps["avgp"] = GlobalAverage()
    if rate:
        steps["fc0drop"] = nn.Dropout(rate)
    steps["fc0"] = nn.Linear(channels, classes)
    return nn.Sequential(steps)
