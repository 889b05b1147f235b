"""Which units a transformation moves beyond chance: analysis of variance with the transformations as groups.

The images are the same under all transformations. The test for `independent` groups, which the measure was published
with (Quiroga et al., arXiv:2310.17404), counts the images' differences as chance; that for `repeated` measures takes
them out. The latter supposes that all pairs of transformations correlate alike; `conservative` holds whatever the
correlations (Greenhouse and Geisser, Psychometrika 24, 1959: the lower bound of their degrees of freedom).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor

from src.core.errors import UserError, suggestion
from src.methods.invariance.moments import Moments, squares_about_mean
from src.methods.invariance.passes import Examination
from src.methods.invariance.ratio import ratio_of
from src.methods.invariance.variance import groups_of_members, shaped
from src.networks.activations import Layer

Design = Literal["repeated", "conservative", "independent"]
Family = Literal["network", "layer", "unit"]
"""Which tests share the level, so that any false finding among them is as rare (Bonferroni)."""


@dataclass
class LayerAnova:
    """Of one layer.

    Attributes:
        f: float64 (units), in the layer's shape. 0 where the transformation never changes a unit that images change,
            infinite where nothing else changes it, NaN where nothing does (0 / 0).
        critical: the value above which a unit is moved beyond chance.
        dead: how many units nothing changes; they are not tested.
    """

    layer: Layer
    f: Tensor
    critical: float
    dead: int

    @property
    def moved(self) -> Tensor:
        """bool (units)."""
        return self.f > self.critical

    @property
    def share(self) -> float:
        """Of the units that were tested, those that are moved; NaN where none was."""
        tested = self.f.numel() - self.dead
        return int(self.moved.sum()) / tested if tested else float("nan")


def anova(
    examination: Examination,
    *,
    level: float = 0.01,
    design: Design = "repeated",
    family: Family = "network",
    watch: Callable[[int], None] = lambda images: None,
) -> list[LayerAnova]:
    """F of every unit, in one pass or as few as the memory allows.

    Args:
        level: chance of a false finding among the tests of a ``family``.
        design: what counts as chance.
        family: a unit is judged at ``level`` over how many tests its family has.
        watch: is told how many images were gone through.

    Raises:
        UserError: an unknown choice; one transformation; averages after the statistics; too little memory.
    """
    _check(examination, level, design, family)
    images, count = len(examination.images), len(examination.transformations)
    sums = _summed(examination, watch)
    between = count - 1
    within = count * (images - 1) if design == "independent" else between * (images - 1)
    values = [sums[layer.name].f(examination, design, between, within) for layer in examination.layers]
    dead = [int(each.isnan().sum()) for each in values]
    tests = [each.numel() - none for each, none in zip(values, dead, strict=True)]
    if family != "layer":
        tests = [sum(tests) if family == "network" else 1] * len(tests)
    if design == "conservative":
        between, within = 1, images - 1
    return [
        LayerAnova(layer, shaped(f, layer, examination.setup), _critical(level / max(1, m), between, within), none)
        for layer, f, m, none in zip(examination.layers, values, tests, dead, strict=True)
    ]


def _check(examination: Examination, level: float, design: str, family: str) -> None:
    for name, value, allowed in (("design", design, get_args(Design)), ("family", family, get_args(Family))):
        if value not in allowed:
            raise UserError(f"{name}={value}: {suggestion(value, allowed)}")
    if not 0 < level < 1:
        raise UserError(f"level={level}: give a chance between 0 and 1, e.g. 0.01")
    if len(examination.transformations) < 2:
        raise UserError("transformation: has one member; groups are compared from two on")
    if examination.setup.after != "none":
        raise UserError(f"after={examination.setup.after}: units are tested one by one; set after=none")


def _critical(level: float, between: int, within: int) -> float:
    from scipy.stats import f

    return float(f.isf(level, between, within))


class _Sums:
    """Of one layer's units, float64 (units,), about the groups' means and of these themselves."""

    def __init__(self, units: int, device: torch.device) -> None:
        room = torch.zeros(5, units, dtype=torch.float64, device=device)
        self.per_image, self.per_group, self.first, self.second, self.reference = room
        self.scale = 0.0
        self.groups = 0

    def close(self, own: Moments) -> None:
        """Take in a group of transformations."""
        own.flush()
        means = own.first.div(own.count).add_(own.shift)
        if not self.groups:
            self.reference.copy_(means[0])
        means -= self.reference
        self.first += means.sum(0)
        self.second += means.square_().sum(0)
        self.per_group += squares_about_mean(own.first, own.second, own.count).sum(0)
        self.groups += len(means)
        if own.spread is not None:
            self.per_image += own.spread * (own.transformations - 1)

    def f(self, examination: Examination, design: Design, between: int, within: int) -> Tensor:
        moved = squares_about_mean(self.first, self.second, self.groups) * len(examination.images)
        chance = self.per_group
        if design != "independent":
            # exact where it matters: what the transformation moves is small beside chance unless F is large anyway
            chance = (self.per_image - moved).clamp_(min=0).minimum(self.per_group)
        dtype = examination.setup.dtype
        effect = (moved / between).sqrt_()
        ratio = ratio_of(effect, (chance / within).sqrt_(), scale=self.scale, dtype=dtype).values
        varied = ratio_of(effect, (self.per_group / within).sqrt_(), scale=self.scale, dtype=dtype).values
        return ratio.square().masked_fill_(ratio.isnan() & ~varied.isnan(), 0.0)


def _summed(examination: Examination, watch: Callable[[int], None]) -> dict[str, _Sums]:
    layers, setup = examination.layers, examination.setup
    units = {layer.name: examination.units(layer) for layer in layers}
    sums = {name: _Sums(each, examination.device) for name, each in units.items()}
    count = len(examination.transformations)
    for number, members in enumerate(groups_of_members(examination, kept=40 * sum(units.values()))):
        first = number == 0  # its pass is over all transformations, the others' over their own
        inner, seen = (members, slice(0, count)) if first else (slice(None), members)
        rows = len(range(count)[seen])
        moments = {
            name: Moments(each, rows, inner, within=first, squared=True, dtype=setup.dtype, device=examination.device)
            for name, each in units.items()
        }

        def take(
            layer: Layer, part: slice, block: Tensor, moments: dict[str, Moments] = moments, inner: slice = inner
        ) -> None:
            own = moments[layer.name]
            if not own.count:
                own.start(block[0, inner])
                sums[layer.name].scale = max(sums[layer.name].scale, float(block[0].square().mean().sqrt()))
            own.add(block)

        examination.go_through(take, members=seen, watch=watch)
        for name, own in moments.items():
            sums[name].close(own)
    return sums
