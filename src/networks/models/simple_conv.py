"""SimpleConv: five convolutions and two linear layers, the plain network of the study of invariances.

Quiroga, Torrents-Barrena, Lanzarini and Puig, JCC&BD 2019 (doi 10.1007/978-3-030-27713-0_9). Its trunk and head serve
other networks as well: with transformed copies of the image (`ti_pooling`) and behind a spatial transformer.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor, nn

from src.networks.models.checks import whole_number
from src.networks.models.dropouts import Dropouts, dropouts
from src.networks.models.layout import Layout
from src.networks.models.pooling import pool_of, pooled_size
from src.networks.models.registry import register


class LinearOnMap(nn.Linear):
    """A linear layer that reads maps (n, C, H, W) as (n, C * H * W): flattening them is no step of its own."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.flatten(1))


def simple_layout(kernels: int, hidden: int, width: float, pools: Sequence[int] | None) -> Layout:
    """Five convolutions of f, f, 2f, 2f and 4f kernels and a hidden linear layer, all times ``width``.

    Pools come after the second and the fourth, or where ``pools`` says.

    Raises:
        UserError: a number that is not allowed.
    """
    f, units = whole_number("kernels", kernels), whole_number("hidden", hidden)
    return Layout((f, f, "P", 2 * f, 2 * f, "P", 4 * f), (units,)).sized(width, pools)


def trunk(layout: Layout, channels: int, batch_norm: bool, pool: str, rates: Dropouts) -> OrderedDict[str, nn.Module]:
    """Modules ``c1``, ``c1norm``, ``c1act``, ``mp1``, ``mp1drop``, ... in their order, for images of ``channels``."""
    steps: OrderedDict[str, nn.Module] = OrderedDict()
    number, pools = 0, 0
    for token in layout.tokens:
        if isinstance(token, int):
            number += 1
            steps[f"c{number}"] = nn.Conv2d(channels, token, 3, padding=1, bias=not batch_norm)
            if batch_norm:
                steps[f"c{number}norm"] = nn.BatchNorm2d(token)
            steps[f"c{number}act"] = nn.ReLU()
            channels = token
        else:
            pools += 1
            steps[f"mp{pools}"] = pool_of(pool)
            if rates.pools[pools - 1]:
                steps[f"mp{pools}drop"] = nn.Dropout(rates.pools[pools - 1])
    return steps


def head(
    features: int, layout: Layout, classes: int, rates: Dropouts, batch_norm: bool = False
) -> OrderedDict[str, nn.Module]:
    """Modules ``fc1drop``, ``fc1``, ``fc1norm``, ``fc1act``, ``fc2drop``, ``fc2`` in their order."""
    steps: OrderedDict[str, nn.Module] = OrderedDict()
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
    kernels = [token for token in layout.tokens if isinstance(token, int)]
    return kernels[-1] * rows * columns


@register("simple_conv")
def simple_conv(
    classes: int,
    input_shape: Sequence[int],
    width: float = 1.0,
    batch_norm: bool = False,
    dropout: float | Mapping[str, Any] | None = None,
    pools: Sequence[int] | None = None,
    kernels: int = 32,
    hidden: int = 64,
    pool: str = "max",
) -> nn.Sequential:
    """SimpleConv: maps images float (n, C, H, W) to logits (n, classes); its modules are named as in the paper's code.

    Args:
        width: multiplies kernels and hidden units.
        batch_norm: between each convolution and its ReLU, instead of the convolution's bias; the paper has none.
        dropout: see :func:`src.networks.models.dropouts.dropouts`; None: none.
        pools: convolutions (``c1`` is 0) that a pool follows; None: 1 and 3.
        kernels: of the first two convolutions; the next two have twice, the last four times as many.
        hidden: units of the hidden linear layer.
        pool: ``max``, ``average``, or ``blur``, the anti-aliased max-pool.

    Raises:
        UserError: a value that is not allowed, or an image too small for the pools.
    """
    layout = simple_layout(kernels, hidden, width, pools)
    rates = dropouts(dropout, len(layout.pools), 1, {})
    steps = trunk(layout, input_shape[0], batch_norm, pool, rates)
    steps |= head(features_of("simple_conv", layout, input_shape, pool), layout, classes, rates)
    return nn.Sequential(steps)
