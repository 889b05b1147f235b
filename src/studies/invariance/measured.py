"""One network under all transformations: what it answers, how much each activation varies, and further measures."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from src.core.shown import Shown
from src.data.image_set import ImageSet
from src.imageops.transformations import TransformationSet
from src.methods.invariance.anova import LayerAnova, anova
from src.methods.invariance.distance import distances
from src.methods.invariance.equivariance import equivariance_distances
from src.methods.invariance.firing import LayerFiring, firing
from src.methods.invariance.passes import After, Examination, Setup
from src.methods.invariance.variance import Variances, groups_of_members, variances
from src.networks.activations import evaluating
from src.networks.subjects import Subject
from src.studies.invariance.findings import (
    EQUIVARIANCE,
    Further,
    LayerDistance,
    LayerMoved,
    LayerScore,
    LayerTurnedBack,
    Role,
    Way,
)
from src.studies.invariance.options import Measure, Options
from src.studies.invariance.words import NV, called
from src.studies.protocol import Run

DTYPES = {"float32": torch.float32, "float64": torch.float64}


@dataclass(frozen=True)
class Measured(Shown):
    """What the passes over a network's activations left.

    Attributes:
        aside: whether it is told of as a whole alone.
        correct: bool (S, T), whether each transformed image is classified right.
        variances: way of measuring -> all layers.
    """

    role: Role
    aside: bool
    subject: Subject
    correct: Tensor
    variances: Mapping[Way, Variances]
    further: Further


def setup_of(options: Options, way: Way) -> Setup:
    """How a pass is made. With an aggregation there is nothing left to average after."""
    positions = way in ("none", EQUIVARIANCE)
    return Setup(
        layers=options.each_layer,
        before="none" if way == EQUIVARIANCE else way,
        after=options.after if positions else "none",
        same_equivariance=way == EQUIVARIANCE,
        batch=options.batch,
        memory_gb=options.memory_gb,
        dtype=DTYPES[options.dtype],
    )


def ways_of(options: Options) -> tuple[Way, ...]:
    """The ways of measuring that are asked for."""
    return (*options.each_aggregation, *((EQUIVARIANCE,) if options.same_equivariance else ()))


def rehearse(subject: Subject, images: ImageSet, transformations: TransformationSet, options: Options) -> None:
    """Refuse with a network of random weights what the trained one would be refused for.

    Raises:
        UserError: patterns fit no layer, the transformation does not fit the images, the memory is too small, or an
            answer depends on the rest of the batch.
    """
    for way in ways_of(options):
        setup = setup_of(options, way)
        examination = Examination(subject.model, images.images, transformations, subject.normalise_values, setup)
        groups_of_members(examination, len(images.labels.unique()))


def examine(
    role: Role,
    subject: Subject,
    images: ImageSet,
    transformations: TransformationSet,
    options: Options,
    run: Run,
    *,
    aside: bool = False,
) -> Measured:
    """Go through all images under all transformations, once for each way of measuring.

    Args:
        aside: leave out the further measures.
    """
    session, stage = run.session, called(role, aside)
    layers: dict[Way, Variances] = {}
    device = next(subject.model.parameters()).device
    pictures, labels = images.images.to(device), images.labels.to(device)
    ways = ways_of(options)

    def examination(way: Way, after: After | None = None) -> Examination:
        setup = setup_of(options, way)
        setup = setup if after is None else replace(setup, after=after)
        return Examination(subject.model, pictures, transformations, subject.normalise_values, setup)

    with session.stage(f"{stage}: activations", len(images) * len(ways)) as advance:
        for way in ways:
            layers[way] = variances(
                examination(way), labels, kept_units=options.kept_units, seed=run.seed,
                watch=lambda count: advance(count),
            )  # fmt: skip
            if layers[way].groups > 1:
                session.event(
                    f"study.memory_gb={options.memory_gb:g}: {stage}, {NV[way]}: the spread over images "
                    f"was summed in {layers[way].groups} passes"
                )
    more = Further()
    if not aside and (options.measures or options.same_equivariance):
        with session.stage(f"{stage}: further measures"):
            back = examination(EQUIVARIANCE, after="none") if options.same_equivariance else None
            more = further(examination("none", after="none"), options.measures, back)
    with session.stage(f"{stage}: accuracy"):
        hits = correct(subject, pictures, labels, transformations, options.batch)
    return Measured(role, aside, subject, hits, layers, more)


@torch.inference_mode()
def correct(subject: Subject, images: Tensor, labels: Tensor, transformations: TransformationSet, batch: int) -> Tensor:
    """bool (S, T), on the CPU."""
    count = len(transformations)
    parts = []
    with evaluating(subject.model):
        for some, right in zip(*(values.split(max(1, batch // count)) for values in (images, labels)), strict=True):
            moved = transformations(some.float() / 255).flatten(0, 1)
            answers = subject.model(subject.normalise_values(moved)).argmax(1).view(len(some), count)
            parts.append(answers == right[:, None])
    return torch.cat(parts).cpu()


def further(examination: Examination, measures: Sequence[Measure], back: Examination | None = None) -> Further:
    """The measures that are asked for.

    Args:
        examination: each position a unit.
        back: the same with maps moved back, where that is wanted.
    """
    return Further(
        distance=_distances(examination) if "distance" in measures else (),
        anova=_moved(examination) if "anova" in measures else (),
        firing=tuple(_score(each) for each in firing(examination)) if "firing" in measures else (),
        equivariance=_turned_back(back) if back is not None else (),
    )


def _distances(examination: Examination) -> tuple[LayerDistance, ...]:
    return tuple(
        LayerDistance(each.layer.name, each.ratio.mean, each.ratio.dead, each.ratio.infinite)
        for each in distances(examination).layers
    )


def _moved(examination: Examination) -> tuple[LayerMoved, ...]:
    designs: list[list[LayerAnova]] = [list(anova(examination)), list(anova(examination, design="independent"))]
    return tuple(
        LayerMoved(repeated.layer.name, repeated.share, independent.share, repeated.critical, repeated.dead)
        for repeated, independent in zip(*designs, strict=True)
    )


def _score(each: LayerFiring) -> LayerScore:
    simple = each.simple[each.simple.isfinite()]
    rate = float(simple.mean()) if len(simple) else math.nan
    return LayerScore(each.layer.name, each.top(), float(each.score.nanmean()), rate, each.silent)


def _turned_back(examination: Examination) -> tuple[LayerTurnedBack, ...]:
    layers = []
    for each in equivariance_distances(examination):
        positions = examination.units(each.layer) // each.layer.shape[0]
        # a root mean square over positions of maps of length 1 would shrink with the number of positions
        relative = float(each.relative.nanmean()) * positions**0.5
        layers.append(LayerTurnedBack(each.layer.name, float(each.distance.nanmean()), relative, each.zero_maps))
    return tuple(layers)
