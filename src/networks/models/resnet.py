"""Residual networks of any depth with a stem for small images (He et al. 2016, arXiv:1512.03385).

The presets ``conf/model/resnet{18,34,50}.yaml`` are the networks of the study of invariances (Quiroga et al. 2019,
doi 10.1007/978-3-030-27713-0_9). Those with a stem for large images: ``torchvision:resnet18``.
"""

from collections import OrderedDict
from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor, nn

from src.core.errors import UserError
from src.networks.models.layout import Add, Layout
from src.networks.models.pooling import GlobalAverage
from src.networks.options import ResnetOptions, dropouts

FIRST = 64  # kernels of the stem and of the first stage; each further stage has twice as many
EXPANSION = 4  # outputs of a bottleneck per kernel inside


class Gate(nn.Module):
    """Squeeze and excitation (Hu et al. 2018, arXiv:1709.01507): (n, C, H, W) times a factor of 0..1 per channel."""

    def __init__(self, channels: int, units: int) -> None:
        super().__init__()
        self.mean, self.fc0, self.act = GlobalAverage(), nn.Linear(channels, units), nn.ReLU()
        self.fc1, self.share = nn.Linear(units, channels), nn.Sigmoid()

    def forward(self, x: Tensor) -> Tensor:
        return x * self.share(self.fc1(self.act(self.fc0(self.mean(x)))))[:, :, None, None]


class Block(nn.Module):
    """A path of convolutions whose output is added to the block's input before the last ReLU.

    Modules: ``c0``, ``c0norm``, ``c0act``, ``c1``, ... without a ReLU after the last convolution, then ``short`` (with
    batch norm ``shortconv`` and ``short``; the identity where nothing changes shape), ``sum`` and ``act``; a ``gate``
    ends the path where there is one. Of a path of 3x3 convolutions alone, those between equal kernels are grouped.
    """

    def __init__(
        self, channels: Sequence[int], sizes: Sequence[int], strides: Sequence[int], options: ResnetOptions
    ) -> None:
        """Kernels per convolution after those of the input, and the side and the stride of each convolution."""
        super().__init__()
        batch_norm = options.batch_norm
        for index, ((inputs, outputs), size, stride) in enumerate(zip(pairwise(channels), sizes, strides, strict=True)):
            grouped = options.groups if size == 3 and inputs % options.groups == outputs % options.groups == 0 else 1
            bias = not batch_norm
            convolution = nn.Conv2d(inputs, outputs, size, stride, padding=size // 2, groups=grouped, bias=bias)
            self.add_module(f"c{index}", convolution)
            if batch_norm:
                self.add_module(f"c{index}norm", nn.BatchNorm2d(outputs))
            if index < len(sizes) - 1:
                self.add_module(f"c{index}act", nn.ReLU())
        if options.squeeze is not None:
            self.gate = Gate(channels[-1], max(1, channels[-1] // options.squeeze))
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

    def forward(self, x: Tensor) -> Tensor:
        short = x
        for name in self._path:
            x = getattr(self, name)(x)
        for name in self._shortcut:
            short = getattr(self, name)(short)
        return self.act(self.sum(x, short))


def resnet(options: ResnetOptions, classes: int, input_shape: Sequence[int]) -> nn.Sequential:
    """A residual network, for images of any size.

    Modules: ``c0``, ``c0norm``, ``c0act``, ``l1.b0.c0``, ... (see :class:`Block`), ``avgp``, ``fc0``; ``fc0drop``
    comes before ``fc0``.

    Raises:
        UserError: there is no such stage to pool in.
    """
    last = len(options.blocks) - 1
    halved = range(1, last + 1) if options.pools is None else options.pools
    if not all(0 <= stage <= last for stage in halved):
        raise UserError(f"model.pools={list(halved)}: the stages are numbered 0 to {last}")
    rate = dropouts(options.dropout, 0, 0).flatten
    stages = Layout(tuple(FIRST << stage for stage in range(last + 1))).scaled(options.width).kernels
    channels, batch_norm = stages[0], options.batch_norm
    steps: OrderedDict[str, nn.Module] = OrderedDict()
    steps["c0"] = nn.Conv2d(input_shape[0], channels, 3, padding=1, bias=not batch_norm)
    if batch_norm:
        steps["c0norm"] = nn.BatchNorm2d(channels)
    steps["c0act"] = nn.ReLU()
    for stage, (kernels, blocks) in enumerate(zip(stages, options.blocks, strict=True)):
        outputs, stride = kernels * EXPANSION if options.bottleneck else kernels, 1 + (stage in halved)
        inner = options.groups * max(1, round(kernels * options.inside / options.groups))
        parts: OrderedDict[str, nn.Module] = OrderedDict()
        for index in range(blocks):
            if options.bottleneck:
                parts[f"b{index}"] = Block((channels, inner, inner, outputs), (1, 3, 1), (1, stride, 1), options)
            else:
                parts[f"b{index}"] = Block((channels, inner, outputs), (3, 3), (stride, 1), options)
            channels, stride = outputs, 1
        steps[f"l{stage + 1}"] = nn.Sequential(parts)
    steps["avgp"] = GlobalAverage()
    if rate:
        steps["fc0drop"] = nn.Dropout(rate)
    steps["fc0"] = nn.Linear(channels, classes)
    return nn.Sequential(steps)
