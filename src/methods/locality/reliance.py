"""How much of a network's accuracy hangs on shape, on texture and on colour: each is suppressed by itself.

Burgert et al. (NeurIPS 2025, arXiv:2509.20234). Their levels are chosen by eye; here, where networks that know one cue
alone can be trained, they are chosen by what they do to those (`calibrate`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from src.core.estimate import Estimate
from src.statistics.bootstrap import bootstrap_weights

#: cue -> operations of `src.methods.locality.perturbations` that suppress it, at least two for each
CUES: dict[str, tuple[str, ...]] = {
    "shape": ("block_shuffle", "block_rotation"),
    "texture": ("bilateral", "low_pass"),
    "colour": ("grayscale", "channel_shuffle"),
}
TOLERANCE = 0.05  # of accuracy: a network that is this near to chance knows nothing any more; less than this is no loss


@dataclass(frozen=True)
class Reliance:
    """What suppressing a cue costs.

    Attributes:
        drop: (clean - suppressed) / (clean - chance); 0: nothing, 1: all that the network knew. NaN where the network
            is not better than chance on clean images: nothing can be lost.
        accuracy: with the cue suppressed.
    """

    drop: Estimate
    accuracy: Estimate


def reliance(clean: Tensor, suppressed: Tensor, chance: float, *, resamples: int, seed: int) -> Reliance:
    """The drop with an interval over images, clean and suppressed in pairs.

    Args:
        clean: (n,), whether each whole image is classified right, or in what share of draws. suppressed: the same
            without the cue.
        chance: accuracy of guessing.
    """
    right = torch.stack([clean, suppressed]).double().cpu()
    weights = bootstrap_weights(len(clean), resamples=resamples, seed=seed).double() / len(clean)
    before, after = weights @ right[0], weights @ right[1]
    whole, rest = right.mean(1).tolist()
    accuracy = _estimate(rest, after, len(clean))
    if whole <= chance:
        return Reliance(Estimate(math.nan, n=len(clean), unit="images"), accuracy)
    known = (before - chance).clamp_min(1 / len(clean))  # a resample at chance: one image better, not minus infinity
    return Reliance(_estimate((whole - rest) / (whole - chance), (before - after) / known, len(clean)), accuracy)


def _estimate(value: float, samples: Tensor, n: int) -> Estimate:
    low, high = torch.quantile(samples, torch.tensor([0.025, 0.975], dtype=samples.dtype)).tolist()
    return Estimate(value, low, high, n, "images")


def area(levels: Sequence[float], accuracies: Sequence[float], chance: float) -> float:
    """Area under a curve over levels, by the trapezoid rule: 1 where nothing is lost, 0 where all is at once.

    Accuracies count from chance, as shares of the first (whole images); levels as shares of their range.
    """
    known = accuracies[0] - chance
    if known <= 0 or len(levels) < 2:
        return math.nan
    heights = [(accuracy - chance) / known for accuracy in accuracies]
    pieces = [
        (b - a) * (left + right) / 2
        for a, b, left, right in zip(levels[:-1], levels[1:], heights[:-1], heights[1:], strict=True)
    ]
    return sum(pieces) / (levels[-1] - levels[0])


@dataclass(frozen=True)
class Level:
    """The level at which an operation suppresses its cue, and whether it may be used.

    Attributes:
        level: the least that takes the network of the operation's cue to within 5 points of chance; None: none does.
        admitted: whether networks of the other cues lose less than 5 points there.
        losses: cue -> points of accuracy that its network loses there, as shares of 1.
    """

    level: float | None
    admitted: bool
    losses: Mapping[str, float]


def calibrate(
    cue: str,
    levels: Sequence[float],
    accuracies: Mapping[str, Sequence[float]],
    clean: Mapping[str, float],
    chance: float,
) -> Level:
    """Choose an operation's level by networks that know one cue alone.

    Args:
        cue: that the operation suppresses.
        levels: tried, weakest first.
        accuracies: cue -> accuracy of its network at each level.
        clean: cue -> its accuracy on whole images.
        chance: accuracy of guessing.
    """
    for number, level in enumerate(levels):
        if accuracies[cue][number] <= chance + TOLERANCE:
            losses = {name: clean[name] - values[number] for name, values in accuracies.items()}
            admitted = all(loss < TOLERANCE for name, loss in losses.items() if name != cue)
            return Level(level, admitted, losses)
    return Level(None, False, {})
