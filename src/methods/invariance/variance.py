"""Transformation variance, sample variance, and their ratio, for every unit of every layer.

Quiroga et al., "Measuring (in)variances in convolutional networks", JCC&BD 2019 (doi 10.1007/978-3-030-27713-0_9), and
"Invariance measures for neural networks", arXiv:2310.17404. "Variance" is there, and here, a standard deviation:
``TV = mean over images of std over transformations``, ``SV = mean over transformations of std over images``,
``NV = TV / SV``: 0 is invariant, 1 as variable under the transformation as between images.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from src.core.errors import UserError
from src.methods.invariance.moments import Moments, squares_about_mean
from src.methods.invariance.passes import Examination, Setup
from src.methods.invariance.ratio import Ratio, ratio_of
from src.methods.invariance.units import averaged, in_layout
from src.networks.activations import Layer

GIB = 2**30


@dataclass
class LayerVariance:
    """What one layer does. Units are shaped as the layer's units are (see `src.methods.invariance.units`).

    Attributes:
        layer: whose.
        ratio: over all images, whatever their class.
        stratified: per unit, the mean over classes of the ratio within a class, where finite; None without labels.
        by_class: float64 (classes,), the layer's mean ratio among images of one class; None without labels.
        class_units: float64 (classes, units): the ratio of each unit among images of one class; kept of the last
            layer alone.
        kept: float32 (S, T, m), the activations of m units drawn at random, for intervals.
    """

    layer: Layer
    ratio: Ratio
    kept: Tensor
    stratified: Ratio | None = None
    by_class: Tensor | None = None
    class_units: Tensor | None = None


@dataclass
class Variances:
    """Of all layers, in the order of computing.

    Attributes:
        groups: into how many groups the transformations were split to keep within the memory.
        classes: labels that were told apart.
    """

    layers: list[LayerVariance]
    groups: int
    classes: tuple[int, ...]

    def over_layers(self, stratified: bool = False) -> float:
        """Mean over layers of the layers' means of finite units."""
        return float(torch.tensor([self._ratio(each, stratified).mean for each in self.layers]).nanmean())

    def over_units(self, stratified: bool = False) -> float:
        """Mean over all finite units of all layers; wide layers dominate."""
        found = torch.cat([self._ratio(each, stratified).values.flatten() for each in self.layers])
        return float(found[found.isfinite()].mean())

    @staticmethod
    def _ratio(each: LayerVariance, stratified: bool) -> Ratio:
        if stratified and each.stratified is None:
            raise ValueError("nothing was stratified: no labels were given")
        return each.stratified if stratified and each.stratified is not None else each.ratio


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
    order, parts, classes = _by_class(labels, len(examination.images))
    sorted_examination = examination.reordered(order)
    keep = _kept(sorted_examination, kept_units, seed)
    groups = groups_of_members(sorted_examination, len(parts), sum(4 * each.values.numel() for each in keep.values()))
    sums = {layer.name: _Sums(layer, sorted_examination, len(parts)) for layer in sorted_examination.layers}
    for number, members in enumerate(groups):
        _one_group(sorted_examination, sums, keep, parts, members, first=number == 0, watch=watch)
    last = sorted_examination.layers[-1]
    back = torch.argsort(order)
    layers = [
        sums[layer.name].conclude(sorted_examination, keep[layer.name].values[back], stratify=labels is not None,
                                  with_units=layer is last)
        for layer in sorted_examination.layers
    ]  # fmt: skip
    return Variances(layers, len(groups), classes)


class _Sums:
    """What is left of a layer once a class and a group of transformations is done."""

    def __init__(self, layer: Layer, examination: Examination, classes: int) -> None:
        self.layer, self.units = layer, examination.units(layer)
        dtype, device = examination.setup.dtype, examination.device  # float64 of many classes would be most memory
        self.spread = torch.zeros(classes, self.units, dtype=dtype, device=device)  # TV, mean over images
        self.sample = torch.zeros(classes, self.units, dtype=dtype, device=device)  # SV, sum over transformations
        self.counts = torch.zeros(classes, device=device)
        self.total_sample = torch.zeros(self.units, dtype=torch.float64, device=device)
        self.total_spread = torch.zeros(self.units, dtype=torch.float64, device=device)
        self.scale = 0.0  # of the layer's values

    def conclude(self, examination: Examination, kept: Tensor, *, stratify: bool, with_units: bool) -> LayerVariance:
        transformations, images = len(examination.transformations), int(self.counts.sum())
        ratio = self._ratio(examination, self.total_spread / images, self.total_sample / transformations)
        found = LayerVariance(self.layer, ratio, kept)
        if not stratify:
            return found
        within = [
            self._ratio(examination, self.spread[k].double(), self.sample[k].double() / transformations)
            for k in range(len(self.counts))
        ]
        values = torch.stack([each.values for each in within])
        finite = values.isfinite()
        mean = torch.where(finite, values, 0.0).sum(0) / finite.sum(0)  # 0 / 0 where it is dead in all classes
        found.stratified = Ratio.of_values(
            mean, transformation=torch.stack([each.transformation for each in within]).mean(0),
            sample=torch.stack([each.sample for each in within]).mean(0),
            infinite=values.isinf().any(0) & ~finite.any(0),
        )  # fmt: skip
        found.by_class = torch.tensor([each.mean for each in within], dtype=torch.float64)
        found.class_units = values if with_units else None
        return found

    def _ratio(self, examination: Examination, spread: Tensor, sample: Tensor) -> Ratio:
        setup = examination.setup
        in_shape = [shaped(values, self.layer, setup) for values in (spread, sample)]
        return ratio_of(*in_shape, scale=self.scale, dtype=setup.dtype)


def shaped(values: Tensor, layer: Layer, setup: Setup) -> Tensor:
    """(..., units) as a pass hands them on -> in the layer's shape, averaged over positions where `after` says so.

    Maps that were turned back become (..., K, positions that always hold the image).
    """
    if not setup.same_equivariance:
        return averaged(in_layout(values, layer, setup.before), layer, setup.before, setup.after)  # type: ignore[arg-type]
    if setup.before != "none":
        return values
    channels = layer.shape[0]
    values = values.unflatten(-1, (channels, values.shape[-1] // channels))
    return values.mean(-1) if setup.after == "mean" else values


@dataclass
class _Kept:
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
    count = len(examination.transformations)
    dtype, device = examination.setup.dtype, examination.device
    inner, seen = (members, slice(0, count)) if first else (slice(None), members)
    rows = len(range(count)[seen])
    moments = {
        name: Moments(each.units, rows, inner, within=first, dtype=dtype, device=device) for name, each in sums.items()
    }
    totals = {name: _Total(torch.zeros_like(own.first), torch.zeros_like(own.second)) for name, own in moments.items()}

    def take(layer: Layer, part: slice, block: Tensor) -> None:
        own = moments[layer.name]
        if not own.count:
            own.start(block[0, inner])
            sums[layer.name].scale = max(sums[layer.name].scale, float(block[0].square().mean().sqrt()))
        own.add(block)
        if first:
            kept = keep[layer.name]
            kept.values[part] = block[..., kept.places].to(kept.values)

    for number, part in enumerate(parts):
        examination.go_through(take, members=seen, images=part, watch=watch)
        for name, own in moments.items():
            own.flush()
            _close_class(sums[name], own, totals[name], number)
    for name, total in totals.items():
        sums[name].total_sample += (total.squares / max(1, total.count - 1)).sqrt().sum(0)


@dataclass
class _Total:
    """Mean and sum of squares about it, float64 (members, units), over the classes so far."""

    mean: Tensor
    squares: Tensor
    count: int = 0

    def join(self, own: Moments) -> None:
        """Take in a class (Chan, Golub and LeVeque 1983)."""
        share = own.count / (self.count + own.count)
        apart = (own.first / own.count).add_(own.shift).sub_(self.mean)
        self.squares += squares_about_mean(own.first, own.second, own.count)
        if self.count:
            self.squares += apart.square().mul_(self.count * share)
        self.mean += apart.mul_(share)
        self.count += own.count


def _close_class(sums: _Sums, own: Moments, total: _Total, number: int) -> None:
    within = squares_about_mean(own.first, own.second, own.count) / max(1, own.count - 1)
    sums.sample[number] += within.sqrt_().sum(0)
    total.join(own)
    own.first.zero_()
    own.second.zero_()
    if own.spread is not None:
        sums.total_spread += own.spread
        sums.spread[number] = own.spread / own.count
        sums.counts[number] = own.count
        own.spread.zero_()
    own.count = 0


def _by_class(labels: Tensor | None, images: int) -> tuple[Tensor, list[slice], tuple[int, ...]]:
    """An order in which classes follow each other, where each begins and ends, and which they are."""
    if labels is None:
        return torch.arange(images), [slice(0, images)], ()
    classes, counts = torch.unique(labels, return_counts=True)
    for label, count in zip(classes.tolist(), counts.tolist(), strict=True):
        if count < 2:
            raise UserError(
                f"images: class {label} has a single one, and a spread within a class needs two; take more images or "
                "leave the class out"
            )
    ends = counts.cumsum(0).tolist()
    parts = [slice(begin, end) for begin, end in zip([0, *ends[:-1]], ends, strict=True)]
    return torch.argsort(labels, stable=True), parts, tuple(classes.tolist())


def _kept(examination: Examination, most: int, seed: int) -> dict[str, _Kept]:
    """Room for a few units of each layer, a tenth of the memory at most."""
    generator = torch.Generator().manual_seed(seed)
    images, rows = len(examination.images), len(examination.transformations)
    room = examination.setup.memory_gb * GIB / 10 / (4 * images * rows * len(examination.layers))
    most = max(1, min(most, int(room)))
    found = {}
    for layer in examination.layers:
        units = examination.units(layer)
        places = torch.randperm(units, generator=generator)[:most].sort().values.to(examination.device)
        found[layer.name] = _Kept(places, torch.zeros(images, rows, len(places), device=examination.device))
    return found


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
    fixed = bytes_of_a_pass(examination) + kept + units * (2 * setup.dtype.itemsize * classes + 16)
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
