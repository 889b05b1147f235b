"""Which units a transformation moves beyond chance: analysis of variance with the transformations as groups.

The images are the same under all transformations. The test for `independent` groups, which the measure was published
with (Quiroga et al., arXiv:2310.17404), counts the images' differences as chance; that for `repeated` measures takes
them out. The latter supposes that all pairs of transformations correlate alike: where they change smoothly it finds
too many.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from src.core.errors import UserError
from src.core.shown import Shown
from src.methods.invariance.moments import Moments, squares_about_mean
from src.methods.invariance.passes import Examination
from src.methods.invariance.ratio import ratios
from src.methods.invariance.variance import groups_of_members, moments_of
from src.networks.activations import Layer

Design = Literal["repeated", "independent"]


@dataclass
class LayerAnova(Shown):
    """Of one layer.

    Attributes:
        f: float64 (units), in the layer's shape, on the CPU. 0 where the transformation never changes a unit that
            images change, infinite where nothing else changes it, NaN where nothing does (0 / 0).
        critical: the value above which a unit is moved beyond chance.
    """

    layer: Layer
    f: Tensor
    critical: float

    @property
    def dead(self) -> int:
        """How many units nothing changes; they are not tested."""
        return int(self.f.isnan().sum())

    @property
    def moved(self) -> Tensor:
        """bool (units)."""
        return self.f > self.critical

    @property
    def share(self) -> float:
        """Of the units that were tested, those that are moved; NaN where none was."""
        tested = self.f.numel() - self.dead
        return int(self.moved.sum()) / tested if tested else float("nan")


def anova(examination: Examination, *, level: float = 0.01, design: Design = "repeated") -> list[LayerAnova]:
    """F of every unit, in one pass or as few as the memory allows.

    Args:
        level: chance of a false finding among the tests of all units of the network (Bonferroni).
        design: what counts as chance.

    Raises:
        UserError: averages after the statistics; too little memory.
    """
    if examination.setup.after != "none":
        raise UserError(f"after={examination.setup.after}: units are tested one by one; set after=none")
    images, count = len(examination.images), len(examination.transformations)
    sums = _summed(examination)
    between = count - 1
    within = count * (images - 1) if design == "independent" else between * (images - 1)
    layers = [
        LayerAnova(layer, examination.shaped(sums[layer.name].f(examination, design, between, within), layer).cpu(), 0)
        for layer in examination.layers
    ]
    tests = sum(each.f.numel() - each.dead for each in layers)
    for each in layers:
        each.critical = _critical(level / max(1, tests), between, within)
    return layers


def _critical(level: float, between: int, within: int) -> float:
    from scipy.stats import f

    return float(f.isf(level, between, within))


class _Sums:
    """Of one layer's units, float64 (units,), about the groups' means and of these themselves."""

    def __init__(self, units: int, device: torch.device) -> None:
        room = torch.zeros(6, units, dtype=torch.float64, device=device)
        self.per_image, self.per_group, self.first, self.second, self.reference, self.scale = room
        self.groups = 0

    def close(self, moments: Moments) -> None:
        """Take in a group of transformations."""
        moments.flush()
        means = moments.first.div(moments.count).add_(moments.shift)
        if not self.groups:
            self.reference.copy_(means[0])
        means -= self.reference
        self.first += means.sum(0)
        self.second += means.square_().sum(0)
        self.per_group += moments.squares().sum(0)
        self.groups += len(means)
        self.scale = self.scale.fmax(moments.scale)
        if moments.within:
            self.per_image += moments.spread * (moments.transformations - 1)

    def f(self, examination: Examination, design: Design, between: int, within: int) -> Tensor:
        moved = squares_about_mean(self.first, self.second, self.groups) * len(examination.images)
        chance = self.per_group
        if design != "independent":
            # exact where it matters: what the transformation moves is small beside chance unless F is large anyway
            chance = (self.per_image - moved).clamp_(min=0).minimum(self.per_group)
        dtype = examination.setup.dtype
        effect = (moved / between).sqrt_()
        ratio = ratios(effect, (chance / within).sqrt_(), scale=self.scale, dtype=dtype)
        varied = ratios(effect, (self.per_group / within).sqrt_(), scale=self.scale, dtype=dtype)
        return ratio.square().masked_fill_(ratio.isnan() & ~varied.isnan(), 0.0)


def _summed(examination: Examination) -> dict[str, _Sums]:
    sums = {layer.name: _Sums(examination.units(layer), examination.device) for layer in examination.layers}
    kept = 48 * sum(examination.units(layer) for layer in examination.layers)
    for number, members in enumerate(groups_of_members(examination, kept=kept)):
        first = number == 0  # its pass is over all transformations, the others' over their own
        moments = moments_of(examination, members, first=first, squared=True)

        def take(layer: Layer, part: slice, block: Tensor, moments: dict[str, Moments] = moments) -> None:
            moments[layer.name].add(block)

        examination.go_through(take, members=slice(None) if first else members)
        for name, of_layer in moments.items():
            sums[name].close(of_layer)
    return sums
