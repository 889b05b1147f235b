"""Is a layer more invariant for some classes than for others? Tested by giving images each other's classes."""

from dataclasses import dataclass

import torch
from torch import Tensor

from src.core.errors import UserError
from src.core.seeds import stream
from src.core.shown import Shown
from src.methods.invariance.ratio import WeightedRatio, finite_mean
from src.statistics.bootstrap import holm

AT_ONCE = 1 << 22  # weights of permuted classes
SLACK = 1e-9  # share by which equal statistics may differ by rounding


@dataclass(frozen=True)
class ClassConditional(Shown):
    """Of one layer.

    Attributes:
        classes: their labels.
        by_class: float64 (classes,), mean NV of finite units among images of a class.
        spread: variance over classes of a unit's NV within them, mean over units.
        p: chance of such a spread, or a greater one, if classes responded alike.
        apart: float64 (classes,), a class's mean NV less the mean of the others': below 0 it is more invariant.
        class_p: of each of these, two-sided, corrected for all of them (Holm).
    """

    classes: tuple[int, ...]
    by_class: Tensor
    spread: float
    p: float
    apart: Tensor
    class_p: tuple[float, ...]


def class_conditional(
    activations: Tensor, labels: Tensor, *, permutations: int = 999, seed: int = 0
) -> ClassConditional:
    """Permutation test of the spread of NV over classes, and of each class against the others.

    Classes that merely lie apart make a random set of images vary more than a class does, and NV smaller: with plain
    permutations that alone is found. So the spread over images is taken about the mean of the image's class, under
    each transformation, also where classes are permuted; the values found of the true classes are the same.

    Args:
        activations: float (S, T, m), of the units to judge, as `LayerVariance.kept`.
        labels: int64 (S,).
        permutations: how many.
        seed: of these.

    Raises:
        UserError: a single class, or one with a single image.
    """
    classes, codes, counts = labels.cpu().unique(return_inverse=True, return_counts=True)
    if len(classes) < 2:
        raise UserError("labels: a single class; whether classes differ needs two of them")
    if int(counts.min()) < 2:
        raise UserError(f"labels: class {int(classes[counts.argmin()])} has a single image, a spread needs two")
    device = activations.device
    member = torch.eye(len(classes), dtype=torch.float64)[:, codes].to(device)  # (C, S)
    ratio = WeightedRatio(activations, _about_classes(activations, member, codes.to(device), counts.to(device)))
    spread, by_class = _statistics(WeightedRatio(activations).under(member)[None])
    generator = stream(seed, "class permutations")
    spreads, means = [], []
    for begin in range(0, permutations, step := max(1, AT_ONCE // member.numel())):
        size = (min(step, permutations - begin), len(labels))
        order = torch.rand(size, generator=generator).argsort(1).to(device)
        weights = member[:, order].movedim(1, 0)  # (b, C, S)
        chance = _statistics(ratio.under(weights.flatten(0, 1)).unflatten(0, weights.shape[:2]))
        spreads.append(chance[0])
        means.append(chance[1])
    apart = _apart(by_class)
    by_chance = torch.cat([torch.cat(spreads)[:, None], _apart(torch.cat(means)).abs()], 1)  # (B, 1 + C)
    p = _p(by_chance, torch.cat([spread, apart[0].abs()]))
    value, spread_p, *class_p = torch.cat([spread, p]).tolist()
    by_class, apart = torch.stack([by_class[0], apart[0]]).cpu()
    return ClassConditional(tuple(classes.tolist()), by_class, value, spread_p, apart, tuple(holm(class_p)))


def _about_classes(activations: Tensor, member: Tensor, codes: Tensor, counts: Tensor) -> Tensor:
    """What is left of activations about their class's mean, as large as about the unknown true mean."""
    values = activations.double()
    means = torch.einsum("cs,stm->ctm", member, values) / counts[:, None, None]
    lost = (counts / (counts - 1)).sqrt()[codes]
    return (values - means[codes]) * lost[:, None, None]


def _statistics(ratios: Tensor) -> tuple[Tensor, Tensor]:
    """(B, C, m) -> (B,), the mean over units of the variance over classes, and (B, C), the mean over units."""
    finite = ratios.isfinite()
    count = finite.sum(1)
    away = (ratios - finite_mean(ratios, 1)[:, None]).where(finite, 0.0)
    variance = away.square().sum(1) / (count - 1)  # 0 / 0 where a unit has a ratio in one class alone
    return finite_mean(variance.masked_fill(count < 2, torch.nan), 1), finite_mean(ratios, 2)


def _apart(by_class: Tensor) -> Tensor:
    """(B, C): each class less the mean of the others that have a value."""
    known = by_class.isfinite()
    total, count = by_class.where(known, 0.0).sum(1, keepdim=True), known.sum(1, keepdim=True)
    return by_class - (total - by_class) / (count - 1)


def _p(by_chance: Tensor, statistics: Tensor) -> Tensor:
    """(B, K), (K,) -> float64 (K,): how often chance is as great; NaN where there is no statistic."""
    as_great = (by_chance >= statistics * (1 - SLACK)).sum(0)
    return ((1 + as_great).double() / (1 + len(by_chance))).masked_fill(~statistics.isfinite(), torch.nan)
