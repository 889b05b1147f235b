"""AllConvolutional: convolutions alone, of stride 2 in the place of pools (Springenberg et al. 2015, arXiv:1412.6806).

The widths are those of the study of invariances (Quiroga et al. 2019, doi 10.1007/978-3-030-27713-0_9), whose released
code pads its 1x1 convolution and puts a ReLU on the logits. Neither is meant, both can be had.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Any

from torch import nn

from src.networks.models.checks import whole_number
from src.networks.models.dropouts import dropouts
from src.networks.models.layout import Layout
from src.networks.models.pooling import GlobalAverage
from src.networks.models.registry import register

HALVING = (2, 5)


@register("all_convolutional")
def all_convolutional(
    classes: int,
    input_shape: Sequence[int],
    width: float = 1.0,
    batch_norm: bool = True,
    dropout: float | Mapping[str, Any] | None = None,
    pools: Sequence[int] | None = None,
    kernels: int = 16,
    padded_1x1: bool = False,
    relu_logits: bool = False,
) -> nn.Sequential:
    """Maps images float (n, C, H, W) of any size to logits (n, classes).

    Modules: ``c0`` (with batch norm ``c0conv`` and ``c0``), ``c0act``, ... ``c7act``, ``cc`` (1x1, to the classes),
    and ``ap`` (the mean over positions). ``c2drop`` follows ``c2act``, ``ccdrop`` comes before ``cc``.

    Args:
        width: multiplies kernels.
        batch_norm: between each convolution and its ReLU; the convolutions keep their bias, as in the study.
        dropout: after the convolutions of stride 2 (``pools``) and before the last one (``flatten``), see
            :func:`src.networks.models.dropouts.dropouts`; None: none.
        pools: convolutions of stride 2, which halve the map (rounded up); None: 2 and 5.
        kernels: of the first three convolutions; the five that follow, of which the last is 1x1, have twice as many.
        padded_1x1: pad the 1x1 convolution by 1, as the released code does: the map grows by a rim of biases.
        relu_logits: a ReLU ``ccact`` before the mean over positions, as in the released code.

    Raises:
        UserError: a value that is not allowed.
    """
    f = whole_number("kernels", kernels)
    layout = Layout((f,) * 3 + (2 * f,) * 5).sized(width, HALVING if pools is None else pools)
    halved = layout.pools
    rates = dropouts(dropout, len(halved), 0, {})
    steps: OrderedDict[str, nn.Module] = OrderedDict()
    channels, counts = input_shape[0], [token for token in layout.tokens if isinstance(token, int)]
    for index, count in enumerate(counts):
        size, padding = (1, int(padded_1x1)) if index == len(counts) - 1 else (3, 1)
        convolution = nn.Conv2d(channels, count, size, stride=1 + (index in halved), padding=padding)
        if batch_norm:
            steps |= {f"c{index}conv": convolution, f"c{index}": nn.BatchNorm2d(count)}
        else:
            steps[f"c{index}"] = convolution
        steps[f"c{index}act"] = nn.ReLU()
        if index in halved and rates.pools[halved.index(index)]:
            steps[f"c{index}drop"] = nn.Dropout(rates.pools[halved.index(index)])
        channels = count
    if rates.flatten:
        steps["ccdrop"] = nn.Dropout(rates.flatten)
    steps["cc"] = nn.Conv2d(channels, classes, 1)
    if relu_logits:
        steps["ccact"] = nn.ReLU()
    steps["ap"] = GlobalAverage()
    return nn.Sequential(steps)
