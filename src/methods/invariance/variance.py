"""Transformation variance, sample variance, and their ratio, for every unit of every layer.

Quiroga et al., "Measuring (in)variances in convolutional networks", JCC&BD 2019 (doi 10.1007/978-3-030-27713-0_9), and
"Invariance measures for neural networks", arXiv:2310.17404. "Variance" is there, and here, a standard deviation:
``TV = mean over images of std over transformations``, ``SV = mean over transformations of std over images``,
``NV = TV / SV``: 0 is invariant, 1 as variable under the transformation as between images.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from src.core.errors import UserError
from src.core.shown import Shown
from src.methods.invariance.moments import Moments
from src.methods.invariance.passes import Examination
from src.methods.invariance.ratio import Ratio, mean_of_finite, ratio_of, ratios
from src.networks.activations import Layer

GIB = 2**30


@dataclass
class LayerVariance(Shown):
    """What one layer does. Units are shaped as `Examination.shaped` says; all but ``kept`` lies on the CPU.

    Attributes:
        ratio: over all images, whatever their class.
        kept: float32 (S, T, m), the activations of m units drawn at random, for intervals; on the model's device.
        stratified: float64 (units), the mean over classes of the ratio within a class, where finite; None without
            labels.
        class_units: float64 (classes, units): the ratio of each unit among images of one class; kept of the last
            layer alone.
    """

    layer: Layer
    ratio: Ratio
    kept: Tensor
    stratified: Tensor | None = None
    class_units: Tensor | None = None

    def ratios(self, stratified: bool) -> Tensor:
        """float64 (units), of all images or stratified.

        Raises:
            ValueError: nothing was stratified.
        """
        if not stratified:
            return self.ratio.values
        if self.stratified is None:
            raise ValueError("nothing was stratified: no labels were given")
        return self.stratified


@dataclass
class Variances:
    """Of all layers, in the order of computing.

    Attributes:
        groups: into how many groups the transformations were split to keep within the memory.
    """

    layers: list[LayerVariance]
    groups: int

    def over_layers(self, stratified: bool = False) -> float:
        """Mean over layers of the layers' means of finite units."""
        return float(torch.tensor([mean_of_finite(each.ratios(stratified)) for each in self.layers]).nanmean())

    def over_units(self, stratified: bool = False) -> float:
        """Mean over all finite units of all layers; wide layers dominate."""
        return mean_of_finite(torch.cat([each.ratios(stratified).flatten() for each in self.layers]))


def variances(
    examination: Examination,
    labels: Tensor | None = None,
    *,
    kept_units: int = 32,
    seed: int = 0,
    watch: Callable[[int], None] = lambda images: None,
) -> Variances:
    """All layers in one pass over images times transformations, or in as few as the memory allows.

    Args:
        examination: network, images, transformations, setup.
        labels: int64 (S,): then also within each class, and the mean of that over classes.
        kept_units: most units per layer whose activations are kept for intervals.
        seed: of the draw of those.
        watch: is told how many images were gone through.

    Raises:
        UserError: a class has a single image; not even one transformation at a time keeps within the memory.
    """
    order, parts = _by_class(labels, len(examination.images))
    sorted_examination = examination.reordered(order)
    keep = _kept(sorted_examination, kept_units, seed)
    groups = groups_of_members(sorted_examination, len(parts), sum(4 * each.values.numel() for each in keep.values()))
    sums = {layer.name: _Sums(layer, sorted_examination, len(parts)) for layer in sorted_examination.layers}
    for number, members in enumerate(groups):
        _one_group(sorted_examination, sums, keep, parts, members, first=number == 0, watch=watch)
    back = torch.argsort(order).to(sorted_examination.device)
    last = sorted_examination.layers[-1].name
    layers = [
        each.conclude(sorted_examination, keep[name].values[back], stratify=labels is not None, with_units=name == last)
        for name, each in sums.items()
    ]
    return Variances(layers, len(groups))


class _Sums:
    """What is left of a layer once a class and a group of transformations is done."""

    def __init__(self, layer: Layer, examination: Examination, classes: int) -> None:
        self.layer, units = layer, examination.units(layer)
        dtype, device = examination.setup.dtype, examination.device  # float64 of many classes would be most memory
        self.spread = torch.zeros(classes, units, dtype=dtype, device=device)  # TV, mean over images
        self.sample = torch.zeros(classes, units, dtype=dtype, device=device)  # SV, sum over transformations
        self.total_sample = torch.zeros(units, dtype=torch.float64, device=device)
        self.total_spread = torch.zeros(units, dtype=torch.float64, device=device)
        self.scale = torch.zeros(units, dtype=torch.float64, device=device)

    def begin_group(self, moments: Moments) -> None:
        """Other transformations: mean and sum of squares about it, float64 (members, units), over no class yet."""
        self.mean, self.squares = torch.zeros_like(moments.first), torch.zeros_like(moments.first)
        self.count = 0

    def close_class(self, moments: Moments, number: int) -> None:
        """Take in a class (Chan, Golub and LeVeque 1983)."""
        moments.flush()
        squares, count = moments.squares(), moments.count
        share = count / (self.count + count)
        apart = (moments.first / count).add_(moments.shift).sub_(self.mean)
        self.squares += squares
        if self.count:
            self.squares += apart.square().mul_(self.count * share)
        self.mean += apart.mul_(share)
        self.count += count
        self.sample[number] += (squares / max(1, count - 1)).sqrt_().sum(0)
        if moments.within:
            self.total_spread += moments.spread
            self.spread[number] = moments.spread / count
        moments.reset()

    def close_group(self, moments: Moments) -> None:
        """Take in all classes under some transformations."""
        self.total_sample += (self.squares / max(1, self.count - 1)).sqrt().sum(0)
        self.scale = self.scale.fmax(moments.scale)

    def conclude(self, examination: Examination, kept: Tensor, *, stratify: bool, with_units: bool) -> LayerVariance:
        count = len(examination.transformations)

        def in_shape(spread: Tensor, sample: Tensor) -> list[Tensor]:
            return [examination.shaped(values, self.layer) for values in (spread, sample / count)]

        scale, dtype = examination.shaped(self.scale, self.layer), examination.setup.dtype
        whole = in_shape(self.total_spread / len(examination.images), self.total_sample)
        ratio = ratio_of(*whole, scale=scale, dtype=dtype)
        if not stratify:
            return LayerVariance(self.layer, ratio, kept)
        within = torch.stack([
            ratios(*in_shape(spread.double(), sample.double()), scale=scale, dtype=dtype)
            for spread, sample in zip(self.spread, self.sample, strict=True)
        ]).cpu()  # fmt: skip
        finite = within.isfinite()
        mean = torch.where(finite, within, 0.0).sum(0) / finite.sum(0)  # 0 / 0 where it is dead in all classes
        stratified = mean.masked_fill(within.isinf().any(0) & ~finite.any(0), torch.inf)
        return LayerVariance(self.layer, ratio, kept, stratified, within if with_units else None)


@dataclass
class _Kept(Shown):
    """Activations of a few units: which ones, and (S, T, m)."""

    places: Tensor
    values: Tensor


def _one_group(
    examination: Examination,
    sums: dict[str, _Sums],
    keep: dict[str, _Kept],
    parts: list[slice],
    members: slice,
    *,
    first: bool,
    watch: Callable[[int], None],
) -> None:
    """One group of transformations, all classes; the first group's pass sees all transformations."""
    moments = moments_of(examination, members, first=first)
    for name, each in moments.items():
        sums[name].begin_group(each)

    def take(layer: Layer, part: slice, block: Tensor) -> None:
        moments[layer.name].add(block)
        if first:
            kept = keep[layer.name]
            kept.values[part] = block[..., kept.places].to(kept.values)

    for number, part in enumerate(parts):
        examination.go_through(take, members=slice(None) if first else members, images=part, watch=watch)
        for name, each in moments.items():
            sums[name].close_class(each, number)
    for name, each in moments.items():
        sums[name].close_group(each)


def moments_of(examination: Examination, members: slice, *, first: bool, squared: bool = False) -> dict[str, Moments]:
    """Of each layer, for the spread over images of some transformations.

    Args:
        first: the pass is over all transformations, and their spread is summed, too.
    """
    count = len(examination.transformations)
    rows, inner = (count, members) if first else (len(range(count)[members]), slice(None))
    return {
        layer.name: Moments(
            examination.units(layer), rows, inner, within=first, squared=squared, dtype=examination.setup.dtype,
            device=examination.device,
        )
        for layer in examination.layers
    }  # fmt: skip


def _by_class(labels: Tensor | None, images: int) -> tuple[Tensor, list[slice]]:
    """An order in which classes follow each other, and where each begins and ends."""
    if labels is None:
        return torch.arange(images), [slice(0, images)]
    labels = labels.cpu()
    classes, counts = torch.unique(labels, return_counts=True)
    for label, count in zip(classes.tolist(), counts.tolist(), strict=True):
        if count < 2:
            raise UserError(
                f"images: class {label} has a single one, and a spread within a class needs two; take more images or "
                "leave the class out"
            )
    ends = counts.cumsum(0).tolist()
    parts = [slice(begin, end) for begin, end in zip([0, *ends[:-1]], ends, strict=True)]
    return torch.argsort(labels, stable=True), parts


def _kept(examination: Examination, most: int, seed: int) -> dict[str, _Kept]:
    """Room for a few units of each layer, a tenth of the memory at most."""
    generator = torch.Generator().manual_seed(seed)
    images, rows = len(examination.images), len(examination.transformations)
    room = examination.setup.memory_gb * GIB / 10 / (4 * images * rows * len(examination.layers))
    most = max(1, min(most, int(room)))
    kept = {}
    for layer in examination.layers:
        units = examination.units(layer)
        places = torch.randperm(units, generator=generator)[:most].sort().values.to(examination.device)
        kept[layer.name] = _Kept(places, torch.zeros(images, rows, len(places), device=examination.device))
    return kept


def bytes_of_a_pass(examination: Examination) -> int:
    """What a forward pass of a chunk takes, less the parameters: the widest activation, its input and a copy."""
    rows = max(examination.setup.batch, len(examination.transformations))
    widest = max(examination.images[0].numel(), *(layer.units for layer in examination.layers))
    return 3 * rows * widest * examination.setup.dtype.itemsize


def groups_of_members(examination: Examination, classes: int = 1, kept: int = 0) -> list[slice]:
    """Transformations whose spread over images is summed in one pass, as many as the memory allows.

    Args:
        classes: whose sums are kept apart.
        kept: bytes of activations that are kept besides.

    Raises:
        UserError: not even one keeps within the memory.
    """
    setup, count = examination.setup, len(examination.transformations)
    units = sum(examination.units(layer) for layer in examination.layers)
    fixed = bytes_of_a_pass(examination) + kept + units * (2 * setup.dtype.itemsize * classes + 24)
    left = setup.memory_gb * GIB - fixed
    most = count
    while most and units * (Moments.bytes_per_unit(most, setup.dtype) + 16 * most) > left:
        most -= 1
    if not most:
        needed = (fixed + units * (Moments.bytes_per_unit(1, setup.dtype) + 16)) / GIB
        raise UserError(
            f"memory_gb={setup.memory_gb:g}: {units:,} units and {classes} classes need {needed:.2g} GiB even with one "
            "transformation at a time; choose fewer layers, a smaller batch, sums of maps, or more memory"
        )
    return [slice(begin, min(count, begin + most)) for begin in range(0, count, most)]
