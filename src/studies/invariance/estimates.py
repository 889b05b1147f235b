"""From the passes over networks to findings: accuracies, curves over layers, trends, all with intervals over images."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from src.core.estimate import Estimate
from src.core.shown import Shown
from src.data.image_set import ImageSet
from src.imageops.transformations import TransformationSet
from src.methods.invariance.class_conditional import class_conditional
from src.methods.invariance.depth import depth_trend
from src.methods.invariance.intervals import resampled_layer, resampled_network
from src.methods.invariance.ratio import mean_of_finite
from src.methods.invariance.sample_size import ALL_LAYERS, sample_size
from src.methods.invariance.variance import LayerVariance, Variances
from src.statistics.bootstrap import Resampled, bootstrap_weights, estimate
from src.studies.invariance.controls import controls
from src.studies.invariance.findings import (
    UNTRAINED,
    Findings,
    LastLayer,
    LayerVariability,
    Network,
    PartOfAll,
    Variability,
)
from src.studies.invariance.images import exchanged
from src.studies.invariance.maps import shown_maps
from src.studies.invariance.measured import Measured
from src.studies.invariance.options import Options
from src.studies.protocol import Run

PARTS = 6  # numbers of images, and of transformations, most of which parts are drawn


@dataclass(frozen=True)
class Resamples(Shown):
    """How often each image occurs in each resample, float32 (B, S), the same for all networks.

    Attributes:
        images: all images alike.
        within_classes: each class is resampled by itself.
    """

    images: Tensor
    within_classes: Tensor

    @property
    def shares(self) -> Tensor:
        """float64 (B, S), of resamples within classes: rows sum to 1."""
        weights = self.within_classes.double()
        return weights / weights.sum(1, keepdim=True)


def findings_of(
    measured: Sequence[Measured], images: ImageSet, transformations: TransformationSet, options: Options, run: Run
) -> Findings:
    """All that is said of one or more networks on the same images.

    Args:
        measured: the first one is looked into; those that stand aside come last.
    """
    first = measured[0]
    resamples = Resamples(
        bootstrap_weights(len(images), resamples=run.resamples, seed=run.seed),
        bootstrap_weights(len(images), resamples=run.resamples, seed=run.seed, strata=images.labels),
    )
    ambiguous = exchanged(options, images.classes)
    with run.session.stage("intervals"):
        networks = [
            _network(each, images, transformations, resamples, ambiguous, options.permutations, run.seed)
            for each in measured
        ]
        return Findings(
            options,
            transformations,
            images.classes,
            len(images),
            tuple(images.labels.unique().tolist()),
            tuple(ambiguous),
            tuple(networks),
            pixels=controls(images, transformations, tuple(first.variances), options, run.session),
            maps=shown_maps(first, images, transformations, count=options.pictures),
            sample_size=parts_of_all(next(iter(first.variances.values())).layers, seed=run.seed),
        )


def accuracy(correct: Tensor, shares: Tensor) -> Estimate:
    """The share of images that are classified right.

    Args:
        correct: (S,) or, over transformations, (S, T).
        shares: float64 (B, S), of each image in each resample.
    """
    hits = correct.double() if correct.ndim == 1 else correct.double().mean(1)
    return estimate(Resampled(float(hits.mean()), shares @ hits), n=len(hits), unit="images")


def _network(
    measured: Measured,
    images: ImageSet,
    transformations: TransformationSet,
    resamples: Resamples,
    ambiguous: Sequence[int],
    permutations: int,
    seed: int,
) -> Network:
    hits, shares, identity = measured.correct, resamples.shares, transformations.identity
    clear = ~torch.isin(images.labels, torch.tensor(list(ambiguous), dtype=torch.int64))
    of_clear = shares[:, clear]
    network = Network(
        measured.role,
        measured.aside,
        None if identity is None else accuracy(hits[:, identity], shares),
        accuracy(hits, shares),
        accuracy(hits[clear], of_clear / of_clear.sum(1, keepdim=True)) if ambiguous else None,
        {
            way: variability(layers, images.labels, resamples, detailed=not measured.aside)
            for way, layers in measured.variances.items()
        },
        further=measured.further,
    )
    if measured.aside:
        return network
    classes = [hits[images.labels == label].double().mean(0) for label in images.labels.unique().tolist()]
    last = next(iter(measured.variances.values())).layers[-1]
    return replace(
        network,
        accuracies=tuple(accuracy(hits[:, member], shares) for member in range(len(transformations))),
        class_accuracies=torch.stack(classes),
        last=_last(last, images, permutations, seed, answers=measured.role != UNTRAINED),
    )


def variability(variances: Variances, labels: Tensor, resamples: Resamples, *, detailed: bool) -> Variability:
    """NV of a network.

    Args:
        labels: int64 (S,), of the images.
        detailed: also layer by layer.
    """
    count, layers = len(labels), variances.layers
    curve = [resampled_layer(layer, resamples.images) for layer in layers]
    mean, trend = resampled_network(curve), depth_trend(curve)
    first_less_second = trend.first_minus_second_half
    rise = Resampled(-first_less_second.value, -first_less_second.samples)

    def over_images(resampled: Resampled) -> Estimate:
        return estimate(resampled, n=count, unit="images")

    def of_layer(layer: LayerVariance, nv: Resampled) -> LayerVariability:
        return LayerVariability(
            layer.layer.name,
            layer.layer.kind,
            over_images(nv),
            over_images(resampled_layer(layer, resamples.within_classes, labels)),
            mean_of_finite(layer.ratio.transformation),
            mean_of_finite(layer.ratio.sample),
            layer.ratio.values,
            layer.ratio.dead,
            layer.ratio.infinite,
            layer.kept.shape[2],
        )

    return Variability(
        units=sum(layer.ratio.values.numel() for layer in layers),
        dead=sum(layer.ratio.dead for layer in layers),
        infinite=sum(layer.ratio.infinite for layer in layers),
        over_layers=variances.over_layers(),
        over_layers_stratified=variances.over_layers(stratified=True),
        over_units=variances.over_units(),
        mean=over_images(mean),
        resampled_mean=mean,
        rise=over_images(rise),
        resampled_rise=rise,
        rank_correlation=over_images(trend.rank_correlation),
        layers=tuple(of_layer(layer, nv) for layer, nv in zip(layers, curve, strict=True)) if detailed else (),
    )


def _last(layer: LayerVariance, images: ImageSet, permutations: int, seed: int, *, answers: bool) -> LastLayer:
    """The last layer; where its ``answers`` mean something and are one for each class, also those."""
    units = layer.class_units
    by_class = units if answers and units is not None and units.shape[1:] == (len(images.classes),) else None
    test = class_conditional(layer.kept, images.labels, permutations=permutations, seed=seed) if permutations else None
    return LastLayer(layer.layer.name, layer.ratio.values.numel(), layer.kept.shape[2], by_class, test)


def parts_of_all(layers: Sequence[LayerVariance], *, seed: int) -> tuple[PartOfAll, ...]:
    """How far fewer images and transformations lead from what all give; none where all are too few to halve."""
    images, transformations = layers[0].kept.shape[:2]
    some, few = _halves(images), _halves(transformations)
    if not some or not few:
        return ()
    errors: dict[tuple[int, int], list[float]] = {}
    for row in sample_size({each.layer.name: each.kept for each in layers}, some, few, seed=seed):
        if row.layer == ALL_LAYERS:
            errors.setdefault((row.images, row.transformations), []).append(row.error)
    return tuple(PartOfAll(*part, sum(values) / len(values)) for part, values in errors.items())


def _halves(count: int) -> list[int]:
    """Halves of halves down to two, ascending."""
    parts: list[int] = []
    while (count := count // 2) >= 2 and len(parts) < PARTS:
        parts.append(count)
    return parts[::-1]
