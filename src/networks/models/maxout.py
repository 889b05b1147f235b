"""Maxout networks (Goodfellow et al., ICML 2013, arXiv:1302.4389) of any size.

A maxout layer of ``u`` units and ``k`` pieces is a linear one with ``u * k`` outputs, of which each ``k`` consecutive
ones are reduced to their largest. The presets ``conf/model/maxout_*.yaml`` are the networks of L. Friedrichsen's thesis
on modular networks (2020) and of its notebooks, for crops of 28x28 pixels.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor, nn

from src.core.errors import UserError
from src.networks.models.dropouts import THESIS, Dropouts, dropouts, initialise_glorot
from src.networks.models.layout import Layout
from src.networks.models.registry import register


class Maxout(nn.Module):
    """The largest of each ``pieces`` consecutive channels: (n, u * k, ...) to (n, u, ...), channels-last kept."""

    def __init__(self, pieces: int) -> None:
        super().__init__()
        self.pieces = pieces

    def forward(self, x: Tensor) -> Tensor:
        # max and not amax, whose backward pass takes three times as long; of equal pieces one gets the gradient
        return x.movedim(1, -1).unflatten(-1, (-1, self.pieces)).max(-1).values.movedim(-1, 1)

    def extra_repr(self) -> str:
        return str(self.pieces)


class MaxoutNetwork(nn.Sequential):
    """Modules ``conv_i``, ``norm_i``, ``maxout_i``, ``pool_i``, ``flatten``, ``dropout_..``, ``fc_j``, in that order.

    Maps images float (n, C, H, W) to logits (n, classes). Convolutions are 3x3 and keep the map's size, pools halve it
    (rounded up). With ``batch_norm`` linear layers and convolutions have no bias, but for the last.
    """

    def __init__(
        self,
        layout: Layout,
        classes: int,
        input_shape: Sequence[int],
        pieces: int,
        hidden_pieces: int,
        rates: Dropouts,
        batch_norm: bool = False,
    ) -> None:
        steps: OrderedDict[str, nn.Module] = OrderedDict()
        channels, rows, columns = input_shape
        index, pools = -1, 0
        for token in layout.tokens:
            if isinstance(token, int):
                index += 1
                steps[f"conv_{index}"] = nn.Conv2d(channels, token * pieces, 3, padding=1, bias=not batch_norm)
                if batch_norm:
                    steps[f"norm_{index}"] = nn.BatchNorm2d(token * pieces)
                steps[f"maxout_{index}"] = Maxout(pieces)
                channels = token
            else:
                steps[f"pool_{index}"] = nn.MaxPool2d(2, ceil_mode=True)
                rows, columns = -(-rows // 2), -(-columns // 2)
                if rates.pools[pools]:
                    steps[f"dropout_pool_{index}"] = nn.Dropout(rates.pools[pools])
                pools += 1
        steps["flatten"] = nn.Flatten()
        features = channels * rows * columns
        if rates.flatten:
            steps["dropout_flatten"] = nn.Dropout(rates.flatten)
        for number, (units, rate) in enumerate(zip(layout.hidden, rates.hidden, strict=True), start=index + 1):
            steps[f"fc_{number}"] = nn.Linear(features, units * hidden_pieces, bias=not batch_norm)
            if batch_norm:
                steps[f"norm_{number}"] = nn.BatchNorm1d(units * hidden_pieces)
            steps[f"maxout_{number}"] = Maxout(hidden_pieces)
            if rate:
                steps[f"dropout_{number}"] = nn.Dropout(rate)
            features = units
        steps[f"fc_{index + 1 + len(layout.hidden)}"] = nn.Linear(features, classes)
        super().__init__(steps)
        initialise_glorot(self)


@register("maxout")
def maxout(
    classes: int,
    input_shape: Sequence[int],
    width: float = 1.0,
    batch_norm: bool = False,
    dropout: float | Mapping[str, Any] | None = None,
    pools: Sequence[int] | None = None,
    units: Sequence[int] = (128, 256, 512),
    pieces: int = 8,
    hidden: Sequence[int] = (256,),
    hidden_pieces: int = 4,
) -> MaxoutNetwork:
    """A maxout network; by default the monolithic one of the thesis.

    Args:
        width: multiplies units and hidden units.
        dropout: see :func:`src.networks.models.dropouts.dropouts`; None: 0.1 after the pools, 0.5 after flatten and
            each hidden layer.
        pools: convolutions that a pool follows; None: all but the last.
        units: of each convolution.
        pieces: k of the convolutions.
        hidden: units of each hidden linear layer.
        hidden_pieces: their k.

    Raises:
        UserError: a value that is not allowed.
    """
    for key, values in {"units": units, "hidden": hidden, "pieces": [pieces], "hidden_pieces": [hidden_pieces]}.items():
        if key == "units" and not values:
            raise UserError("model.units=[]: give the units of at least one convolution")
        for value in values:
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                raise UserError(f"model.{key}={value}: allowed are whole numbers from 1")
    layout = Layout(tuple(units), tuple(hidden)).sized(width, range(len(units) - 1) if pools is None else pools)
    rates = dropouts(dropout, len(layout.pools), len(hidden), THESIS)
    return MaxoutNetwork(layout, classes, input_shape, pieces, hidden_pieces, rates, batch_norm)
