"""Invariance of what makes a unit fire: its firing rate about the images that it fires for, beside that over all.

Goodfellow, Le, Saxe, Lee and Ng, "Measuring invariances in deep networks", NIPS 2009. A unit fires where its
activation, or its negative, exceeds a threshold that few untransformed images exceed. ``G``, the global rate, is the
share of untransformed images that do; ``L``, the local rate, is the mean over these of the share of their T
transformations that do; the score is L / G: about 1 by chance, 1 / G of an invariant unit. The simpler ratio of
later work takes L over all images and their transformations: it is 1 of an invariant unit as well as by chance, and
more only where the transformation moves the unit's mean.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import ceil
from statistics import NormalDist
from typing import Literal, get_args

import torch
from torch import Tensor

from src.core.errors import UserError, suggestion
from src.methods.invariance.gathering import Part, gather, in_parts
from src.methods.invariance.passes import Examination
from src.methods.invariance.ratio import TOLERANCE
from src.methods.invariance.reference import with_reference
from src.methods.invariance.variance import GIB, bytes_of_a_pass, shaped
from src.networks.activations import Layer

Threshold = Literal["empirical", "normal"]
"""What ``rate`` of the images exceed: counted, or as if they were normally distributed."""


@dataclass
class LayerFiring:
    """Of one layer; float64 (units) in its shape, NaN where a unit never fires.

    Attributes:
        score: L / G.
        simple: the same with L over all images.
        rate: G, which ties and few images keep from being what was asked for.
        sign: +1 or -1, the one of the higher score.
        silent: how many units fire for no untransformed image, with neither sign.
    """

    layer: Layer
    score: Tensor
    simple: Tensor
    rate: Tensor
    sign: Tensor
    silent: int

    def top(self, share: float = 0.2) -> float:
        """Mean score of the ``share`` of the units that fire whose scores are highest, at least of one."""
        scores = self.score[~self.score.isnan()]
        return float(scores.topk(ceil(share * len(scores))).values.mean()) if len(scores) else float("nan")


def firing(
    examination: Examination,
    *,
    rate: float = 0.01,
    threshold: Threshold = "empirical",
    watch: Callable[[int], None] = lambda images: None,
) -> list[LayerFiring]:
    """Scores of every unit.

    Untransformed images are the transformation that changes nothing where there is one, which then counts as one of
    the T, else a pass of their own.

    Args:
        rate: share of the untransformed images that a unit fires for; of fewer than 1 / rate images it is one.
        threshold: where that lies.
        watch: is told how many images were gone through.

    Raises:
        UserError: a choice that is not allowed; the memory does not hold one unit of all images.
    """
    if not 0 < rate < 1:
        raise UserError(f"rate={rate}: give a share of the images between 0 and 1, e.g. 0.01")
    if threshold not in get_args(Threshold):
        raise UserError(f"threshold={threshold}: {suggestion(threshold, get_args(Threshold))}")
    if examination.setup.after != "none":
        raise UserError(f"after={examination.setup.after}: units fire one by one; set after=none")
    extended, reference, members = with_reference(examination)
    thresholds = _thresholds(extended, reference, rate, threshold)
    counts = {layer.name: _Counts(examination.units(layer), examination.device) for layer in examination.layers}

    def take(layer: Layer, part: slice, block: Tensor) -> None:
        counts[layer.name].add(block, thresholds[layer.name], reference, members)

    extended.go_through(take, watch=watch)
    size = (len(examination.images), len(examination.transformations))
    return [counts[layer.name].conclude(layer, examination, *size) for layer in examination.layers]


def _thresholds(examination: Examination, reference: int, rate: float, kind: Threshold) -> dict[str, Tensor]:
    """Of each layer (2, units): what its units, and their negatives, must exceed."""
    units = {layer.name: examination.units(layer) for layer in examination.layers}
    setup = examination.setup
    kept = sum(units.values()) * (2 * setup.dtype.itemsize + 6 * 4 + 4 * 8)
    room = setup.memory_gb * GIB - bytes_of_a_pass(examination) - kept
    # sorting takes two more of what it sorts, and an index
    groups = in_parts(examination, {name: (count, 1) for name, count in units.items()}, room / 5)
    least = {
        name: TOLERANCE * torch.finfo(setup.dtype).eps * size for name, size in _scales(examination, reference).items()
    }
    found = {name: torch.zeros(2, count, dtype=setup.dtype, device=examination.device) for name, count in units.items()}
    of = _empirical if kind == "empirical" else _normal

    def find(group: list[Part]) -> None:
        gathered = gather(examination, reference, group, lambda layer, block: block.unsqueeze(-1))
        for part, values in zip(group, gathered, strict=True):
            for own, signed in zip(found[part.layer.name], (values[..., 0], -values[..., 0]), strict=True):
                own[part.which] = of(signed, rate, least[part.layer.name])

    for group in groups:
        find(group)
    return found


def _scales(examination: Examination, reference: int) -> dict[str, float]:
    """The size of each layer's values, of one image."""
    found: dict[str, float] = {}

    def take(layer: Layer, part: slice, block: Tensor) -> None:
        found[layer.name] = float(block.square().mean().sqrt())

    examination.go_through(take, members=[reference], images=slice(0, 1))
    return found


def _empirical(values: Tensor, rate: float, least: float) -> Tensor:
    """(units, S) -> (units,): between the last image that fires and the first that does not.

    Above those that tie with the latter by ``least``, since another pass may round otherwise than this one.
    """
    count = max(1, round(rate * values.shape[1]))
    highest = values.topk(min(count + 1, values.shape[1]), dim=1).values
    last, following = highest[:, -2], highest[:, -1]
    return torch.maximum((last + following) / 2, following + least)


def _normal(values: Tensor, rate: float, least: float) -> Tensor:
    """(units, S) -> (units,): above the mean by ``least`` where there is no deviation."""
    away = values - values[:, :1]  # equal values have exactly no deviation
    above = NormalDist().inv_cdf(1 - rate) * away.std(1)
    return values[:, 0] + away.mean(1) + torch.where(above.abs() > least, above, least)


class _Counts:
    """How often the units of one layer fire, int32 (2, units) for the two signs."""

    def __init__(self, units: int, device: torch.device) -> None:
        self.images, self.local, self.everywhere = torch.zeros(3, 2, units, dtype=torch.int32, device=device)

    def add(self, block: Tensor, thresholds: Tensor, reference: int, members: slice) -> None:
        for row, fires in enumerate((block > thresholds[0], -block > thresholds[1])):
            often = fires[:, members].sum(1, dtype=torch.int32)
            fired = fires[:, reference]
            self.images[row] += fired.sum(0, dtype=torch.int32)
            self.local[row] += (often * fired).sum(0, dtype=torch.int32)
            self.everywhere[row] += often.sum(0, dtype=torch.int32)

    def conclude(self, layer: Layer, examination: Examination, images: int, transformations: int) -> LayerFiring:
        rate = self.images.double() / images
        rate[rate == 0] = torch.nan
        score = self.local.double() / (self.images * transformations) / rate
        simple = self.everywhere.double() / (images * transformations) / rate
        negative = score[0].isnan() | (score[1] > score[0])
        sign = torch.where(negative, -1, 1).to(torch.int8)
        score, simple, rate = (torch.where(negative, each[1], each[0]) for each in (score, simple, rate))
        score, simple, rate, sign = (shaped(each, layer, examination.setup) for each in (score, simple, rate, sign))
        return LayerFiring(layer, score, simple, rate, sign, int(score.isnan().sum()))
