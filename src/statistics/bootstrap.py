"""How sure a number is: bootstrap over images, paired between methods, and over seeds.

Torch is imported inside the functions: light parts of the project want :class:`Estimate` alone.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from src.core.estimate import Estimate

if TYPE_CHECKING:
    from torch import Tensor


class Resampled(NamedTuple):
    """A statistic of the data at hand and of B resamples of it: ``samples`` float64 (B,)."""

    value: float
    samples: Tensor


def bootstrap_weights(n: int, *, resamples: int, seed: int, strata: Tensor | None = None) -> Tensor:
    """How often each of n images occurs in each resample: float32 (B, n), rows sum to n.

    Methods that are judged with the same weights are compared in pairs: their difference then loses the part of the
    variation that is the images' and not theirs. With ``strata`` (n,), e.g. class labels, each stratum is resampled by
    itself and keeps its size in every resample.
    """
    import torch

    generator = torch.Generator().manual_seed(seed)
    strata = torch.zeros(n, dtype=torch.int64) if strata is None else strata.cpu()
    _, stratum, sizes = strata.unique(return_inverse=True, return_counts=True)
    images = stratum.argsort(stable=True)
    size = sizes[stratum[images]]  # (n,) of the stratum that each draw is from
    first = (sizes.cumsum(0) - sizes)[stratum[images]]
    drawn = (torch.rand(resamples, n, generator=generator) * size).long().clamp_max_(size - 1)
    weights = torch.zeros(resamples, n)
    return weights.scatter_add_(1, images[drawn + first], torch.ones(()).expand(resamples, n))


def over_seeds(runs: Sequence[Resampled], *, seed: int) -> Resampled:
    """The mean over seeds, resampled in two stages: seeds, then images within them.

    ``runs`` are the same statistic of one run per seed. Runs judged on one image set share their bootstrap weights, and
    so an image's difficulty stays common to them; compared methods need the same ``seed`` here. With few seeds the
    interval is too narrow (a bootstrap of S values has (S - 1) / S of their variance): say how many there are.
    """
    import torch

    samples = torch.stack([run.samples for run in runs])  # (S, B)
    count, resamples = samples.shape
    generator = torch.Generator().manual_seed(seed)
    chosen = torch.randint(count, (count, resamples), generator=generator).to(samples.device)
    return Resampled(sum(run.value for run in runs) / count, samples.gather(0, chosen).mean(dim=0))


def paired_difference(first: Resampled, second: Resampled) -> Resampled:
    """``first - second``; both must come from the same resamples."""
    return Resampled(first.value - second.value, first.samples - second.samples)


def estimate(resampled: Resampled, *, n: int = 0, unit: str = "", level: float = 0.95) -> Estimate:
    """The value with its percentile interval.

    Percentiles, not BCa: they stay within a statistic's range, need no leave-one-out pass over all images, and for the
    shares of hundreds of images that we report the correction is far below the interval's width. Resamples in which
    the statistic is undefined (NaN) are left out.
    """
    tail = (1 - level) / 2
    samples = resampled.samples.double()
    low, high = (samples.nanquantile(share).item() for share in (tail, 1 - tail))
    return Estimate(float(resampled.value), low, high, n, unit)


def proportion(count: int, n: int, *, unit: str = "", level: float = 0.95) -> Estimate:
    """``count`` of ``n`` with Wilson's interval (J. Am. Stat. Assoc. 22, 1927), which stays within 0 and 1."""
    from statistics import NormalDist

    if not n:
        return Estimate(math.nan, 0.0, 1.0, 0, unit)
    z = NormalDist().inv_cdf((1 + level) / 2)
    share = count / n
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    return Estimate(share, max(0.0, centre - half), min(1.0, centre + half), n, unit)


def auc(scores: Tensor, positive: Tensor) -> Tensor:
    """Chance that a positive image scores above a negative one, ties counting half: float64 (...).

    Args:
        scores: (..., n). positive: bool (n,).

    Returns:
        NaN where there are no positive or no negative images.
    """
    import torch

    negatives = scores[..., ~positive].sort(dim=-1).values.contiguous()
    positives = scores[..., positive].contiguous()
    below = torch.searchsorted(negatives, positives).sum(dim=-1)
    not_above = torch.searchsorted(negatives, positives, right=True).sum(dim=-1)
    pairs = int(positive.sum()) * int((~positive).sum())
    return (below + not_above).double() / (2 * pairs) if pairs else torch.full(scores.shape[:-1], torch.nan).double()


def rank_correlation(x: Tensor, y: Tensor, weights: Tensor) -> Tensor:
    """Spearman's rank correlation in each resample: float64 (B,); ties share their mean rank, NaN counts for nothing.

    Args:
        x, y: (n,).
        weights: (B, n), how often each of n occurs in each resample.
    """
    import torch

    held = weights.double() * ~(x.isnan() | y.isnan())

    def ranks(values: Tensor) -> Tensor:
        values = values.nan_to_num()
        below = (values[None] < values[:, None]).double() + 0.5 * (values[None] == values[:, None]).double()
        rank = held @ below.T
        return rank - (rank * held).sum(1, keepdim=True) / held.sum(1, keepdim=True)

    first, second = ranks(x), ranks(y)
    spread = torch.sqrt((held * first**2).sum(1) * (held * second**2).sum(1))
    return (held * first * second).sum(1) / spread


def holm(p_values: Sequence[float]) -> list[float]:
    """Each p corrected for all of them, so that the chance of any false finding stays below a level (Holm 1979).

    NaN stands for what was not tested: it stays NaN and does not count.
    """
    tested = sorted((p, index) for index, p in enumerate(p_values) if not math.isnan(p))
    corrected = [math.nan] * len(p_values)
    largest = 0.0
    for rank, (p, index) in enumerate(tested):
        largest = max(largest, min(1.0, (len(tested) - rank) * p))
        corrected[index] = largest
    return corrected


def accuracies(
    predictions: Mapping[str, Tensor], labels: Tensor, reference: str, *, resamples: int, seed: int
) -> tuple[dict[str, Estimate], dict[str, Estimate]]:
    """Accuracy of each method's predicted classes (n,), and its difference to the reference's, with intervals."""
    weights = bootstrap_weights(len(labels), resamples=resamples, seed=seed)
    runs = {}
    for name, predicted in predictions.items():
        hits = (predicted == labels).float()
        runs[name] = Resampled(hits.mean().item(), (weights @ hits).double() / len(labels))
    estimates = {name: estimate(run, n=len(labels), unit="images") for name, run in runs.items()}
    against = {
        name: estimate(paired_difference(run, runs[reference]), n=len(labels), unit="images")
        for name, run in runs.items()
    }
    return estimates, against
