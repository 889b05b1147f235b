"""VGG-19 as published (Simonyan and Zisserman 2015, arXiv:1409.1556), and a small VGG for one module of a label tree.

No batch norm, and dropout also after the pools: the networks of L. Friedrichsen's thesis on modular networks (2020).
Widths of your own, batch norm and other initialisations: ``vgg`` (`src.networks.models.vgg`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from torch import nn

from src.networks.models.dropouts import THESIS, Dropouts, dropouts, initialise_glorot
from src.networks.models.layout import ConvolutionalNetwork, Layout
from src.networks.models.registry import register

VGG19 = Layout((64, 64, "P", 128, 128, "P", *[256] * 4, "P", *[512] * 4, "P", *[512] * 4, "P"), hidden=(4096, 4096))
MODULE = Layout((32, "P", 64, "P", 128, 128, "P", 256, 256, "P", 256, 256, "P"), hidden=(128, 128))


class PlainVGG(ConvolutionalNetwork):
    """As its layout says, with a dropout for each rate that is not 0: ``dropout_pool_i``, ``dropout_flatten``, ..."""

    def __init__(
        self, layout: Layout, classes: int, input_shape: Sequence[int], rates: Dropouts, batch_norm: bool, name: str
    ) -> None:
        super().__init__(layout, classes, input_shape, batch_norm, name)
        first = sum(isinstance(token, int) for token in layout.tokens)  # number of the first linear layer
        places = {f"pool_{index}": rate for index, rate in zip(layout.pools, rates.pools, strict=True)}
        places |= {"flatten": rates.flatten}
        places |= {f"relu_{number}": rate for number, rate in enumerate(rates.hidden, start=first)}
        before, self._steps = self._steps, []
        for what, name in before:
            self._steps.append((what, name))
            if places.get(name):
                self._append(f"dropout_{name}", nn.Dropout(places[name]))
        initialise_glorot(self)


def network(
    name: str,
    layout: Layout,
    classes: int,
    input_shape: Sequence[int],
    width: float = 1.0,
    batch_norm: bool = False,
    dropout: float | Mapping[str, Any] | None = None,
    pools: Sequence[int] | None = None,
) -> PlainVGG:
    """The named layout; ``dropout`` as of :func:`src.networks.models.dropouts.dropouts`.

    None stands for 0.1 after each pool but the last, and 0.5 after flatten and each hidden layer.
    """
    layout = layout.sized(width, pools)
    count = len(layout.pools)
    default = THESIS | {"pools": [THESIS["pools"]] * (count - 1) + [0.0] * min(count, 1)}
    rates = dropouts(dropout, count, len(layout.hidden), default)
    return PlainVGG(layout, classes, input_shape, rates, batch_norm, name)


for _name, _layout in {"vgg19": VGG19, "vgg_module": MODULE}.items():
    register(_name)(partial(network, _name, _layout))
