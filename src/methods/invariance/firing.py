"""Invariance of what makes a unit fire: its firing rate about the images that it fires for, beside that over all.

Goodfellow, Le, Saxe, Lee and Ng, "Measuring invariances in deep networks", NIPS 2009. A unit fires where its
activation, or its negative, exceeds a threshold that few untransformed images exceed. ``G``, the global rate, is the
share of untransformed images that do; ``L``, the local rate, is the mean over these of the share of their T
transformations that do; the score is L / G: about 1 by chance, 1 / G of an invariant unit. The simpler ratio of
later work takes L over all images and their transformations: it is 1 of an invariant unit as well as by chance, and
more only where the transformation moves the unit's mean.
"""

from dataclasses import dataclass
from math import ceil

import torch
from torch import Tensor

from src.core.errors import UserError
from src.core.shown import Shown
from src.methods.invariance.gathering import Part, gather, in_parts
from src.methods.invariance.passes import Examination
from src.methods.invariance.ratio import TOLERANCE
from src.methods.invariance.reference import with_reference
from src.methods.invariance.variance import GIB, bytes_of_a_pass
from src.networks.activations import Layer


@dataclass
class LayerFiring(Shown):
    """Of one layer; float64 (units) in its shape, on the CPU, NaN where a unit never fires.

    Attributes:
        score: L / G, of the sign with the higher one.
        simple: the same with L over all images.
        silent: how many units fire for no untransformed image, with neither sign.
    """

    layer: Layer
    score: Tensor
    simple: Tensor
    silent: int

    def top(self, share: float = 0.2) -> float:
        """Mean score of the ``share`` of the units that fire whose scores are highest, at least of one."""
        scores = self.score[~self.score.isnan()]
        return float(scores.topk(ceil(share * len(scores))).values.mean()) if len(scores) else float("nan")


def firing(examination: Examination, *, rate: float = 0.01) -> list[LayerFiring]:
    """Scores of every unit.

    Untransformed images are the transformation that changes nothing where there is one, which then counts as one of
    the T, else a pass of their own.

    Args:
        rate: share of the untransformed images that a unit fires for; of fewer than 1 / rate images it is one.

    Raises:
        UserError: averages after the statistics; the memory does not hold one unit of all images.
    """
    if examination.setup.after != "none":
        raise UserError(f"after={examination.setup.after}: units fire one by one; set after=none")
    extended, reference, members = with_reference(examination)
    thresholds = _thresholds(extended, reference, rate)
    counts = {layer.name: _Counts(examination.units(layer), examination.device) for layer in examination.layers}

    def take(layer: Layer, part: slice, block: Tensor) -> None:
        counts[layer.name].add(block, thresholds[layer.name], reference, members)

    extended.go_through(take)
    size = (len(examination.images), len(examination.transformations))
    return [counts[layer.name].conclude(layer, examination, *size) for layer in examination.layers]


def _thresholds(examination: Examination, reference: int, rate: float) -> dict[str, Tensor]:
    """Of each layer (2, units): what its units, and their negatives, must exceed."""
    units = {layer.name: examination.units(layer) for layer in examination.layers}
    setup = examination.setup
    kept = sum(units.values()) * (2 * setup.dtype.itemsize + 6 * 4 + 4 * 8)
    room = setup.memory_gb * GIB - bytes_of_a_pass(examination) - kept
    # sorting takes two more of what it sorts, and an index
    groups = in_parts(examination, {name: (count, 1) for name, count in units.items()}, room / 5)
    least = _rounding(examination, reference)
    thresholds = {
        name: torch.zeros(2, count, dtype=setup.dtype, device=examination.device) for name, count in units.items()
    }

    def threshold(group: list[Part]) -> None:
        gathered = gather(examination, reference, group, lambda layer, block: block.unsqueeze(-1))
        for part, values in zip(group, gathered, strict=True):
            name = part.layer.name
            for row, signed in zip(thresholds[name], (values[..., 0], -values[..., 0]), strict=True):
                row[part.which] = _between(signed, rate, least[name])

    for group in groups:
        threshold(group)
    return thresholds


def _rounding(examination: Examination, reference: int) -> dict[str, float]:
    """What counts as no difference of a layer's values, by their size in one image."""
    sizes: dict[str, Tensor] = {}

    def take(layer: Layer, part: slice, block: Tensor) -> None:
        sizes[layer.name] = block.square().mean().sqrt()

    examination.go_through(take, members=[reference], images=slice(0, 1))
    share = TOLERANCE * torch.finfo(examination.setup.dtype).eps
    return {name: share * size for name, size in zip(sizes, torch.stack([*sizes.values()]).tolist(), strict=True)}


def _between(values: Tensor, rate: float, least: float) -> Tensor:
    """(units, S) -> (units,): between the last image that fires and the first that does not.

    Above those that tie with the latter by ``least``, since another pass may round otherwise than this one.
    """
    count = max(1, round(rate * values.shape[1]))
    highest = values.topk(min(count + 1, values.shape[1]), dim=1).values
    last, following = highest[:, -2], highest[:, -1]
    return torch.maximum((last + following) / 2, following + least)


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
        rate.masked_fill_(rate == 0, torch.nan)
        score = self.local.double() / (self.images * transformations) / rate
        simple = self.everywhere.double() / (images * transformations) / rate
        negative = score[0].isnan() | (score[1] > score[0])
        chosen = (torch.where(negative, each[1], each[0]) for each in (score, simple))
        score, simple = (examination.shaped(each, layer).cpu() for each in chosen)
        return LayerFiring(layer, score, simple, int(score.isnan().sum()))
