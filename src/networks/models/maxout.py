"""Maxout networks (Goodfellow et al., ICML 2013, arXiv:1302.4389) of any size.

A maxout layer of ``u`` units and ``k`` pieces is a linear one with ``u * k`` outputs, of which each ``k`` consecutive
ones are reduced to their largest. The presets ``conf/model/maxout_*.yaml`` are the networks of L. Friedrichsen's thesis
on modular networks (2020) and of its notebooks, for crops of 28x28 pixels.
"""

from collections.abc import Sequence

from torch import Tensor, nn

from src.networks.models.layout import Layout, initialise_glorot
from src.networks.models.simple_conv import trunk
from src.networks.options import THESIS, MaxoutOptions, dropouts


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
    (rounded up). With batch norm linear layers and convolutions have no bias, but for the last.
    """


def maxout(options: MaxoutOptions, classes: int, input_shape: Sequence[int]) -> MaxoutNetwork:
    """A maxout network."""
    pools = range(len(options.units) - 1) if options.pools is None else options.pools
    layout = Layout(options.units, options.hidden).sized(options.width, pools)
    rates = dropouts(options.dropout, len(layout.pools), len(layout.hidden), THESIS)
    bias = not options.batch_norm

    def block(index: int, inputs: int, units: int) -> dict[str, nn.Module]:
        outputs = units * options.pieces
        norm = {f"norm_{index}": nn.BatchNorm2d(outputs)} if options.batch_norm else {}
        convolution = nn.Conv2d(inputs, outputs, 3, padding=1, bias=bias)
        return {f"conv_{index}": convolution, **norm, f"maxout_{index}": Maxout(options.pieces)}

    def pool(_: int, index: int) -> tuple[str, nn.Module]:
        return f"pool_{index}", nn.MaxPool2d(2, ceil_mode=True)

    channels, rows, columns = input_shape
    steps = trunk(layout, channels, rates.pools, block, pool, "dropout_{}")
    steps["flatten"] = nn.Flatten()
    if rates.flatten:
        steps["dropout_flatten"] = nn.Dropout(rates.flatten)
    halvings, first = len(layout.pools), len(layout.kernels)  # number of the first linear layer
    features = layout.kernels[-1] * -(-rows // 2**halvings) * -(-columns // 2**halvings)
    for number, (units, rate) in enumerate(zip(layout.hidden, rates.hidden, strict=True), start=first):
        outputs = units * options.hidden_pieces
        steps[f"fc_{number}"] = nn.Linear(features, outputs, bias=bias)
        if options.batch_norm:
            steps[f"norm_{number}"] = nn.BatchNorm1d(outputs)
        steps[f"maxout_{number}"] = Maxout(options.hidden_pieces)
        if rate:
            steps[f"dropout_{number}"] = nn.Dropout(rate)
        features = units
    steps[f"fc_{first + len(layout.hidden)}"] = nn.Linear(features, classes)
    network = MaxoutNetwork(steps)
    initialise_glorot(network)
    return network
