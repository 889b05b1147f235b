"""The further measures of a network: distances, analysis of variance, firing, maps moved back."""

import math
from collections.abc import Sequence

from src.methods.invariance.anova import LayerAnova, anova
from src.methods.invariance.distance import distances
from src.methods.invariance.equivariance import equivariance_distances
from src.methods.invariance.firing import LayerFiring, firing
from src.methods.invariance.passes import Examination
from src.studies.invariance.findings import (
    Further,
    LayerDistance,
    LayerMoved,
    LayerScore,
    LayerTurnedBack,
)
from src.studies.invariance.options import Measure


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
