"""SimpleConv, VGGLike and AllConvolutional: the plain networks of the study of invariances.

Quiroga, Torrents-Barrena, Lanzarini and Puig, JCC&BD 2019 (doi 10.1007/978-3-030-27713-0_9). SimpleConv has five
convolutions and two linear layers; its trunk and head serve other networks as well: with transformed copies of the
image (`ti_pooling`) and behind a spatial transformer. VGGLike has four blocks of two convolutions with ELU (VGG itself,
with ReLU and more layers: `vgg`). AllConvolutional has convolutions of stride 2 in the place of pools (Springenberg et
al. 2015, arXiv:1412.6806); the study's released code pads its 1x1 convolution and puts a ReLU on the logits, of which
neither is meant and both can be had.
"""

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence

from torch import Tensor, nn

from src.networks.models.layout import Layout, Token
from src.networks.models.pooling import POOLS, GlobalAverage, pooled_size
from src.networks.options import AllConvolutionalOptions, Dropouts, SimpleConvOptions, VggLikeOptions, dropouts

Steps = OrderedDict[str, nn.Module]
HALVING = (2, 5)  # convolutions of AllConvolutional


class LinearOnMap(nn.Linear):
    """A linear layer that reads maps (n, C, H, W) as (n, C * H * W): flattening them is no step of its own."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.flatten(1))


def trunk(
    layout: Layout,
    channels: int,
    rates: Sequence[float],
    block: Callable[[int, int, int], Mapping[str, nn.Module]],
    pool: Callable[[int, int], tuple[str, nn.Module]],
    dropout: str = "{}drop",
) -> Steps:
    """The convolutions and pools of ``layout`` by name, in their order, for images of ``channels``.

    Args:
        rates: of the dropout after each pool; 0: none.
        block: the modules of convolution ``index`` with so many inputs and kernels.
        pool: name and module of pool ``number``, which follows convolution ``index``.
        dropout: a dropout's name, made of its pool's.
    """
    steps: Steps = OrderedDict()
    index, number = -1, 0
    for token in layout.tokens:
        if isinstance(token, int):
            index += 1
            steps.update(block(index, channels, token))
            channels = token
        else:
            name, module = pool(number, index)
            steps[name] = module
            if rates[number]:
                steps[dropout.format(name)] = nn.Dropout(rates[number])
            number += 1
    return steps


def simple_layout(options: SimpleConvOptions) -> Layout:
    """Five convolutions of f, f, 2f, 2f and 4f kernels and a hidden linear layer; pools after the second and fourth."""
    f = options.kernels
    return Layout((f, f, "P", 2 * f, 2 * f, "P", 4 * f), (options.hidden,)).sized(options.width, options.pools)


def simple_trunk(layout: Layout, channels: int, options: SimpleConvOptions, rates: Dropouts) -> Steps:
    """Modules ``c1``, ``c1norm``, ``c1act``, ``mp1``, ``mp1drop``, ... in their order, for images of ``channels``."""

    def block(index: int, inputs: int, kernels: int) -> dict[str, nn.Module]:
        name = f"c{index + 1}"
        convolution = nn.Conv2d(inputs, kernels, 3, padding=1, bias=not options.batch_norm)
        norm = {f"{name}norm": nn.BatchNorm2d(kernels)} if options.batch_norm else {}
        return {name: convolution, **norm, f"{name}act": nn.ReLU()}

    return trunk(layout, channels, rates.pools, block, lambda number, _: (f"mp{number + 1}", POOLS[options.pool]()))


def head(features: int, layout: Layout, classes: int, rates: Dropouts, batch_norm: bool = False) -> Steps:
    """Modules ``fc1drop``, ``fc1``, ``fc1norm``, ``fc1act``, ``fc2drop``, ``fc2`` in their order."""
    steps: Steps = OrderedDict()
    (units,) = layout.hidden
    if rates.flatten:
        steps["fc1drop"] = nn.Dropout(rates.flatten)
    steps["fc1"] = LinearOnMap(features, units)
    if batch_norm:
        steps["fc1norm"] = nn.BatchNorm1d(units)
    steps["fc1act"] = nn.ReLU()
    if rates.hidden[0]:
        steps["fc2drop"] = nn.Dropout(rates.hidden[0])
    steps["fc2"] = nn.Linear(units, classes)
    return steps


def features_of(name: str, layout: Layout, input_shape: Sequence[int], pool: str = "max") -> int:
    """Values per image after the layout's last convolution and pool.

    Raises:
        UserError: the image is too small for the pools.
    """
    rows, columns = pooled_size(name, input_shape, layout.pools, pool)
    return layout.kernels[-1] * rows * columns


def simple_conv(options: SimpleConvOptions, classes: int, input_shape: Sequence[int]) -> nn.Sequential:
    """SimpleConv; its modules are named as in the paper's code."""
    layout = simple_layout(options)
    rates = dropouts(options.dropout, len(layout.pools), 1)
    steps = simple_trunk(layout, input_shape[0], options, rates)
    steps |= head(features_of("simple_conv", layout, input_shape, options.pool), layout, classes, rates)
    return nn.Sequential(steps)


def vgg_like(options: VggLikeOptions, classes: int, input_shape: Sequence[int]) -> nn.Sequential:
    """VGGLike.

    Modules: ``c0_0``, ``c0_0act``, ``c0_0norm``, ``c0_1``, ``c0_1act``, ``c0_1norm``, ``mp0``, ``mp0drop``, ... and
    those of SimpleConv's head.
    """
    f = options.kernels
    tokens: tuple[Token, ...] = (f, f, "P", 2 * f, 2 * f, "P", 4 * f, 4 * f, "P", 8 * f, 8 * f, "P")
    layout = Layout(tokens, (options.hidden,)).sized(options.width, options.pools)
    rates = dropouts(options.dropout, len(layout.pools), 1)

    def block(index: int, inputs: int, kernels: int) -> dict[str, nn.Module]:
        name = f"c{index // 2}_{index % 2}"
        norm = {f"{name}norm": nn.BatchNorm2d(kernels)} if options.batch_norm else {}
        return {name: nn.Conv2d(inputs, kernels, 3, padding=1), f"{name}act": nn.ELU(), **norm}

    steps = trunk(layout, input_shape[0], rates.pools, block, lambda number, _: (f"mp{number}", nn.MaxPool2d(2)))
    steps |= head(features_of("vgg_like", layout, input_shape), layout, classes, rates, options.batch_norm)
    return nn.Sequential(steps)


def all_convolutional(options: AllConvolutionalOptions, classes: int, input_shape: Sequence[int]) -> nn.Sequential:
    """AllConvolutional, for images of any size.

    Modules: ``c0`` (with batch norm ``c0conv`` and ``c0``), ``c0act``, ... ``c7act``, ``cc`` (1x1, to the classes),
    and ``ap`` (the mean over positions). ``c2drop`` follows ``c2act``, ``ccdrop`` comes before ``cc``; ``ccact`` is the
    ReLU of the released code.
    """
    f, pools = options.kernels, HALVING if options.pools is None else options.pools
    layout = Layout((f,) * 3 + (2 * f,) * 5).sized(options.width, pools)
    rates = dropouts(options.dropout, len(layout.pools), 0)
    dropped = dict(zip(layout.pools, rates.pools, strict=True))
    steps: Steps = OrderedDict()
    channels, last = input_shape[0], len(layout.kernels) - 1
    for index, count in enumerate(layout.kernels):
        size, padding = (1, int(options.padded_1x1)) if index == last else (3, 1)
        convolution = nn.Conv2d(channels, count, size, stride=1 + (index in dropped), padding=padding)
        if options.batch_norm:
            steps |= {f"c{index}conv": convolution, f"c{index}": nn.BatchNorm2d(count)}
        else:
            steps[f"c{index}"] = convolution
        steps[f"c{index}act"] = nn.ReLU()
        if dropped.get(index):
            steps[f"c{index}drop"] = nn.Dropout(dropped[index])
        channels = count
    if rates.flatten:
        steps["ccdrop"] = nn.Dropout(rates.flatten)
    steps["cc"] = nn.Conv2d(channels, classes, 1)
    if options.relu_logits:
        steps["ccact"] = nn.ReLU()
    steps["ap"] = GlobalAverage()
    return nn.Sequential(steps)
