"""How much of a network's accuracy hangs on shape, on texture and on colour: each is suppressed by itself.

Burgert et al. (NeurIPS 2025, arXiv:2509.20234). Their levels are chosen by eye; here, where networks that know one cue
alone can be trained, they are chosen by what they do to those (`calibrate`).
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from src.core.estimate import Estimate
from src.statistics.bootstrap import Resampled, estimate

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


def reliance(clean: Tensor, suppressed: Tensor, chance: float, weights: Tensor) -> Reliance:
    """The drop with an interval over images, clean and suppressed in pairs.

    Args:
        clean: (n,), whether each whole image is classified right, or in what share of draws. suppressed: the same
            without the cue.
        chance: accuracy of guessing.
        weights: float64 (B, n), of each image in each resample; rows sum to 1.
    """
    right = torch.stack([clean, suppressed]).double().cpu()
    before, after = weights @ right[0], weights @ right[1]
    whole, rest = right.mean(1).tolist()
    accuracy = estimate(Resampled(rest, after), n=len(clean), unit="images")
    if whole <= chance:
        return Reliance(Estimate(math.nan, n=len(clean), unit="images"), accuracy)
    known = (before - chance).clamp_min(1 / len(clean))  # a resample at chance: one image better, not minus infinity
    drop = Resampled((whole - rest) / (whole - chance), (before - after) / known)
    return Reliance(estimate(drop, n=len(clean), unit="images"), accuracy)


def area(levels: Sequence[float], accuracies: Sequence[float], chance: float) -> float:
    """Area under a curve over levels, by the trapezoid rule: 1 where nothing is lost, 0 where all is at once.

    Accuracies count from chance, as shares of the first (whole images); levels as shares of their range.
    """
    known = accuracies[0] - chance
    if known <= 0 or len(levels) < 2:
        return math.nan
    x, y = torch.tensor([list(levels), list(accuracies)], dtype=torch.float64)
    return float(torch.trapezoid((y - chance) / known, x)) / (levels[-1] - levels[0])


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
    if clean[cue] <= chance + TOLERANCE:
        return Level(None, False, {})  # it knows nothing that could be suppressed
    for number, level in enumerate(levels):
        if accuracies[cue][number] <= chance + TOLERANCE:
            losses = {name: clean[name] - values[number] for name, values in accuracies.items()}
            admitted = all(loss < TOLERANCE for name, loss in losses.items() if name != cue)
            return Level(level, admitted, losses)
    return Level(None, False, {})
