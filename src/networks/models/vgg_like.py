"""VGGLike: four blocks of two convolutions with ELU, the deeper plain network of the study of invariances.

Quiroga et al. 2019 (doi 10.1007/978-3-030-27713-0_9). VGG itself, with ReLU and more layers: ``vgg``.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Any

from torch import nn

from src.networks.models.checks import whole_number
from src.networks.models.dropouts import dropouts
from src.networks.models.layout import Layout, Token
from src.networks.models.registry import register
from src.networks.models.simple_conv import features_of, head


@register("vgg_like")
def vgg_like(
    classes: int,
    input_shape: Sequence[int],
    width: float = 1.0,
    batch_norm: bool = True,
    dropout: float | Mapping[str, Any] | None = None,
    pools: Sequence[int] | None = None,
    kernels: int = 16,
    hidden: int = 64,
) -> nn.Sequential:
    """VGGLike: maps images float (n, C, H, W) to logits (n, classes).

    Modules: ``c0_0``, ``c0_0act``, ``c0_0norm``, ``c0_1``, ``c0_1act``, ``c0_1norm``, ``mp0``, ``mp0drop``, ... and
    those of SimpleConv's head.

    Args:
        width: multiplies kernels and hidden units.
        batch_norm: after each ELU, and between the hidden linear layer and its ReLU.
        dropout: see :func:`src.networks.models.dropouts.dropouts`; None: none.
        pools: convolutions (``c0_0`` is 0, ``c1_0`` is 2) that a max-pool follows; None: the second of each block.
        kernels: of the first block; each further block has twice as many.
        hidden: units of the hidden linear layer.

    Raises:
        UserError: a value that is not allowed, or an image too small for the pools.
    """
    f, units = whole_number("kernels", kernels), whole_number("hidden", hidden)
    tokens: tuple[Token, ...] = (f, f, "P", 2 * f, 2 * f, "P", 4 * f, 4 * f, "P", 8 * f, 8 * f, "P")
    layout = Layout(tokens, (units,)).sized(width, pools)
    rates = dropouts(dropout, len(layout.pools), 1, {})
    steps: OrderedDict[str, nn.Module] = OrderedDict()
    channels, index, pooled = input_shape[0], 0, 0
    for token in layout.tokens:
        if isinstance(token, int):
            name = f"c{index // 2}_{index % 2}"
            steps |= {name: nn.Conv2d(channels, token, 3, padding=1), f"{name}act": nn.ELU()}
            if batch_norm:
                steps[f"{name}norm"] = nn.BatchNorm2d(token)
            channels, index = token, index + 1
        else:
            steps[f"mp{pooled}"] = nn.MaxPool2d(2)
            if rates.pools[pooled]:
                steps[f"mp{pooled}drop"] = nn.Dropout(rates.pools[pooled])
            pooled += 1
    steps |= head(features_of("vgg_like", layout, input_shape), layout, classes, rates, batch_norm)
    return nn.Sequential(steps)
