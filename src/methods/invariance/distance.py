"""(In)variance by distances: how far activations lie apart under the transformation, and between images.

``TD = mean over images of the mean Euclidean distance between the T activations of an image``, ``SD = mean over
transformations of that between images``, ``ND = TD / SD`` (Quiroga et al., "Invariance measures for neural networks",
arXiv:2310.17404). All pairs are compared, whatever the batch: the distances between images need all images'
activations at once, so that there is one pass for TD, and one or more for SD, as the memory allows.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor

from src.core.errors import UserError, suggestion
from src.methods.invariance.gathering import Arrange, Part, gather, in_parts
from src.methods.invariance.passes import Examination, Setup
from src.methods.invariance.ratio import Ratio, ratio_of
from src.methods.invariance.variance import GIB, bytes_of_a_pass, shaped
from src.networks.activations import Layer

Shape = Literal["kept", "scalar"]
"""What is compared: a channel's map as one vector, or every position by itself. Elsewhere every value by itself."""
SORTED = 1 << 18  # values that are sorted at once


@dataclass
class LayerDistance:
    """Of one layer: a value for each channel where maps are kept, else for each unit.

    Attributes:
        ratio: TD as ``transformation``, SD as ``sample``, and ND as ``values``.
        zero_maps: how many maps (of images, transformations and channels) have no norm to divide them by.
    """

    layer: Layer
    ratio: Ratio
    zero_maps: int


@dataclass
class Distances:
    """Of all layers, in the order of computing; ``passes`` over images times transformations were made."""

    layers: list[LayerDistance]
    passes: int

    def over_layers(self) -> float:
        """Mean over layers of the layers' means of finite units."""
        return float(torch.tensor([each.ratio.mean for each in self.layers]).nanmean())


def distances(
    examination: Examination,
    *,
    shape: Shape = "kept",
    unit_norm: bool = False,
    watch: Callable[[int], None] = lambda images: None,
) -> Distances:
    """TD, SD and ND of every layer, over all pairs.

    Args:
        examination: network, images, transformations, setup; with ``same_equivariance`` of maps turned back.
        shape: what is compared.
        unit_norm: divide each map by its L2 norm first; a map of zeros stays one.
        watch: is told how many images were gone through for TD.

    Raises:
        UserError: choices that exclude each other; the memory does not hold one unit of all images.
    """
    _check(examination.setup, shape, unit_norm)
    layers, setup = examination.layers, examination.setup
    arrange = partial(_vectors, setup, shape, unit_norm)
    sizes = {layer.name: _size(layer, examination.units(layer), setup, shape) for layer in layers}
    groups = in_parts(examination, sizes, _room(examination, sizes))
    within, scales, zero_maps = _between_transformations(examination, sizes, arrange, watch)
    between = _between_images(examination, sizes, arrange, groups)
    found = []
    for layer in layers:
        values = [each[layer.name] for each in (within, between)]
        if not _is_whole(layer, setup, shape):
            values = [shaped(each, layer, setup) for each in values]
        ratio = ratio_of(*values, scale=scales[layer.name], dtype=setup.dtype)
        found.append(LayerDistance(layer, ratio, zero_maps[layer.name] if unit_norm else 0))
    return Distances(found, 1 + len(groups))


def _check(setup: Setup, shape: str, unit_norm: bool) -> None:
    if shape not in get_args(Shape):
        raise UserError(f"shape={shape}: {suggestion(shape, get_args(Shape))}")
    if shape == "kept" and setup.after != "none":
        raise UserError(
            f"after={setup.after}: with shape=kept a map is one unit already; set after=none or shape=scalar"
        )
    if unit_norm and (shape != "kept" or setup.before != "none"):
        raise UserError("unit_norm=true: only maps have a norm; set shape=kept and before=none")


def _is_whole(layer: Layer, setup: Setup, shape: Shape) -> bool:
    return shape == "kept" and layer.is_map and setup.before == "none"


def _size(layer: Layer, units: int, setup: Setup, shape: Shape) -> tuple[int, int]:
    """K and P."""
    return (layer.shape[0], units // layer.shape[0]) if _is_whole(layer, setup, shape) else (units, 1)


def _vectors(setup: Setup, shape: Shape, unit_norm: bool, layer: Layer, block: Tensor) -> Tensor:
    """(n, members, units) -> (n, members, K, P)."""
    count, length = _size(layer, block.shape[2], setup, shape)
    if not _is_whole(layer, setup, shape):
        return block.unsqueeze(-1)
    if layer.channels_last and not setup.same_equivariance:
        vectors = block.unflatten(2, (length, count)).transpose(2, 3)
    else:
        vectors = block.unflatten(2, (count, length))
    if not unit_norm:
        return vectors
    norms = vectors.norm(dim=3, keepdim=True)
    return vectors / norms.masked_fill_(norms == 0, 1)


def _room(examination: Examination, sizes: dict[str, tuple[int, int]]) -> float:
    """Bytes for activations of all images: what the passes, the sums and the distances of a channel leave."""
    images, itemsize = len(examination.images), examination.setup.dtype.itemsize
    pairs = images * images // 2 if any(length > 1 for _, length in sizes.values()) else 0
    scratch = (pairs + 3 * max(SORTED, images)) * max(itemsize, 8)
    sums = 16 * sum(count for count, _ in sizes.values())
    return examination.setup.memory_gb * GIB - 2 * bytes_of_a_pass(examination) - scratch - sums


def _between_transformations(
    examination: Examination,
    sizes: dict[str, tuple[int, int]],
    arrange: Arrange,
    watch: Callable[[int], None],
) -> tuple[dict[str, Tensor], dict[str, float], dict[str, int]]:
    """Of each layer TD (K,), the size of its vectors, and how many of them are 0."""
    totals = {name: _zeros(count, examination) for name, (count, _) in sizes.items()}
    scales, nothing = dict.fromkeys(sizes, 0.0), dict.fromkeys(sizes, 0)

    def take(layer: Layer, part: slice, block: Tensor) -> None:
        vectors = arrange(layer, block)
        if not part.start:
            scales[layer.name] = float(vectors[0].square().sum(-1).mean().sqrt())
        if layer.is_map:
            nothing[layer.name] += int((vectors == 0).all(-1).sum())
        totals[layer.name] += _sum_of_distances(vectors)

    examination.go_through(take, watch=watch)
    count = len(examination.transformations)
    pairs = max(1, count * (count - 1) // 2) * len(examination.images)
    return {name: total / pairs for name, total in totals.items()}, scales, nothing


def _sum_of_distances(vectors: Tensor) -> Tensor:
    """(n, T, K, P) -> float64 (K,): over n, of the distances of all pairs of T."""
    total = torch.zeros(vectors.shape[2], dtype=torch.float64, device=vectors.device)
    for apart in range(1, vectors.shape[1]):
        away = vectors[:, apart:] - vectors[:, :-apart]
        lengths = away.abs_().squeeze(-1) if vectors.shape[3] == 1 else away.square_().sum(-1).sqrt_()
        total += lengths.sum((0, 1))
    return total


def _between_images(
    examination: Examination,
    sizes: dict[str, tuple[int, int]],
    arrange: Arrange,
    groups: list[list[Part]],
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
    parts = [
        (part - part[:, :1]).sort(1).values.double() @ signs for part in values.split(max(1, SORTED // count))
    ]  # fmt: skip
    return torch.cat(parts) / (count * (count - 1) / 2)


def _zeros(count: int, examination: Examination) -> Tensor:
    return torch.zeros(count, dtype=torch.float64, device=examination.device)
