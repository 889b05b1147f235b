"""(In)variance by distances: how far activations lie apart under the transformation, and between images.

``TD = mean over images of the mean Euclidean distance between the T activations of an image``, ``SD = mean over
transformations of that between images``, ``ND = TD / SD`` (Quiroga et al., "Invariance measures for neural networks",
arXiv:2310.17404). All pairs are compared, whatever the batch: the distances between images need all images'
activations at once, so that there is one pass for TD, and one or more for SD, as the memory allows.
"""

from dataclasses import dataclass
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

from src.core.errors import UserError
from src.methods.invariance.gathering import Arrange, Part, gather, in_parts
from src.methods.invariance.passes import Examination, Setup
from src.methods.invariance.ratio import Ratio, ratio_of
from src.methods.invariance.variance import GIB, bytes_of_a_pass
from src.networks.activations import Layer

SORTED = 1 << 18  # values that are sorted at once


@dataclass
class LayerDistance:
    """Of one layer: a value for each channel where maps are kept, else for each unit.

    Attributes:
        ratio: TD as ``transformation``, SD as ``sample``, and ND as ``values``.
    """

    layer: Layer
    ratio: Ratio


@dataclass
class Distances:
    """Of all layers, in the order of computing; ``passes`` over images times transformations were made."""

    layers: list[LayerDistance]
    passes: int


def distances(examination: Examination) -> Distances:
    """TD, SD and ND of every layer, over all pairs. A channel's map is compared as one vector.

    Args:
        examination: network, images, transformations, setup; with ``same_equivariance`` of maps turned back.

    Raises:
        UserError: averages after the statistics; the memory does not hold one unit of all images.
    """
    setup = examination.setup
    if setup.after != "none":
        raise UserError(f"after={setup.after}: a map is one unit already; set after=none")
    layers = examination.layers
    arrange = partial(_vectors, setup)
    sizes = {layer.name: _size(layer, examination.units(layer), setup) for layer in layers}
    groups = in_parts(examination, sizes, _room(examination, sizes))
    within, scales = _between_transformations(examination, sizes, arrange)
    between = _between_images(examination, sizes, arrange, groups)
    results = []
    for layer in layers:
        spreads, scale = [each[layer.name] for each in (within, between)], scales[layer.name]
        if not _is_whole(layer, setup):
            spreads, scale = [examination.shaped(each, layer) for each in spreads], examination.shaped(scale, layer)
        results.append(LayerDistance(layer, ratio_of(*spreads, scale=scale, dtype=setup.dtype)))
    return Distances(results, 1 + len(groups))


def _is_whole(layer: Layer, setup: Setup) -> bool:
    return layer.is_map and setup.before == "none"


def _size(layer: Layer, units: int, setup: Setup) -> tuple[int, int]:
    """K and P."""
    return (layer.shape[0], units // layer.shape[0]) if _is_whole(layer, setup) else (units, 1)


def _vectors(setup: Setup, layer: Layer, block: Tensor) -> Tensor:
    """(n, members, units) -> (n, members, K, P)."""
    if not _is_whole(layer, setup):
        return block.unsqueeze(-1)
    count, length = _size(layer, block.shape[2], setup)
    if layer.channels_last and not setup.same_equivariance:
        return block.unflatten(2, (length, count)).transpose(2, 3)
    return block.unflatten(2, (count, length))


def _room(examination: Examination, sizes: dict[str, tuple[int, int]]) -> float:
    """Bytes for activations of all images: what the passes, the sums and the distances of a channel leave."""
    images, itemsize = len(examination.images), examination.setup.dtype.itemsize
    pairs = images * images // 2 if any(length > 1 for _, length in sizes.values()) else 0
    scratch = (pairs + 3 * max(SORTED, images)) * max(itemsize, 8)
    sums = 16 * sum(count for count, _ in sizes.values())
    return examination.setup.memory_gb * GIB - 2 * bytes_of_a_pass(examination) - scratch - sums


def _between_transformations(
    examination: Examination, sizes: dict[str, tuple[int, int]], arrange: Arrange
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Of each layer TD (K,), and the size of each unit's vectors, float64 (K,)."""
    totals = {name: _zeros(count, examination) for name, (count, _) in sizes.items()}
    scales: dict[str, Tensor] = {}

    def take(layer: Layer, part: slice, block: Tensor) -> None:
        vectors = arrange(layer, block)
        if not part.start:
            scales[layer.name] = vectors[0].square().sum(-1).mean(0).sqrt().double()
        totals[layer.name] += _sum_of_distances(vectors)

    examination.go_through(take)
    count = len(examination.transformations)
    pairs = max(1, count * (count - 1) // 2) * len(examination.images)
    return {name: total / pairs for name, total in totals.items()}, scales


def _sum_of_distances(vectors: Tensor) -> Tensor:
    """(n, T, K, P) -> float64 (K,): over n, of the distances of all pairs of T."""
    total = torch.zeros(vectors.shape[2], dtype=torch.float64, device=vectors.device)
    for apart in range(1, vectors.shape[1]):
        away = vectors[:, apart:] - vectors[:, :-apart]
        lengths = away.abs_().squeeze(-1) if vectors.shape[3] == 1 else away.square_().sum(-1).sqrt_()
        total += lengths.sum((0, 1))
    return total


def _between_images(
    examination: Examination, sizes: dict[str, tuple[int, int]], arrange: Arrange, groups: list[list[Part]]
) -> dict[str, Tensor]:
    """Of each layer SD (K,)."""
    totals = {name: _zeros(count, examination) for name, (count, _) in sizes.items()}
    transformations = len(examination.transformations)
    for group in groups:
        for member in range(transformations):
            # a function's names die with it: the activations are gone before the next ones are gathered
            for part, mean in zip(group, _means(gather(examination, member, group, arrange)), strict=True):
                totals[part.layer.name][part.which] += mean / transformations
    return totals


def _means(gathered: list[Tensor]) -> list[Tensor]:
    """(K, S, P) each -> (K,) each."""
    return [mean_gap(values[..., 0]) if values.shape[2] == 1 else mean_distance(values) for values in gathered]


def mean_distance(vectors: Tensor) -> Tensor:
    """(K, S, P) -> float64 (K,): the mean Euclidean distance over all pairs of the S vectors."""
    # pdist subtracts; the product of matrices that is usual for distances makes equal vectors differ
    return torch.stack([F.pdist(each.contiguous()).mean(dtype=torch.float64) for each in vectors])


def mean_gap(values: Tensor) -> Tensor:
    """(K, S) -> float64 (K,): the mean of |a - b| over all pairs of the S values, by sorting."""
    count = values.shape[1]
    # the i-th smallest, from 0, is the greater one of i pairs, and the smaller one of S - 1 - i
    signs = torch.arange(1 - count, count, 2, dtype=torch.float64, device=values.device)
    parts = [(part - part[:, :1]).sort(1).values.double() @ signs for part in values.split(max(1, SORTED // count))]
    return torch.cat(parts) / (count * (count - 1) / 2)


def _zeros(count: int, examination: Examination) -> Tensor:
    return torch.zeros(count, dtype=torch.float64, device=examination.device)
