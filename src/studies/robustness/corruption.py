"""What corruption costs networks: accuracy, probabilities and errors, by corruption and by severity.

Intervals are over images. Nothing here is a table; :mod:`src.studies.robustness.corruption_panels` shows it.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from src.core.estimate import Estimate
from src.core.shown import Shown
from src.methods.robustness.corruptions import EXTRA, corrupt
from src.methods.robustness.mce import corruption_errors, relative_corruption_errors
from src.statistics.bootstrap import Resampled, bootstrap_weights, estimate
from src.statistics.calibration import ece
from src.studies.robustness.shifted import Reference, Shifted

QUARTILES = (0.0, 0.25, 0.5, 0.75, 1.0)


@dataclass(frozen=True)
class Relative:
    """Errors as a share of those of a reference network (Hendrycks & Dietterich 2019).

    Attributes:
        mce: the mean over corruptions of ``by_corruption``.
        relative_mce: the same of what is lost against clean images.
        benchmark_mce: without the corruptions that the published benchmark leaves out; NaN where only those are there.
        by_corruption: errors summed over severities, as a share of the reference's: (C,) numbers.
    """

    mce: Estimate
    relative_mce: Estimate
    benchmark_mce: float
    by_corruption: tuple[float, ...]


@dataclass(frozen=True)
class Scores:
    """What the answers to some images are worth, on average.

    Attributes:
        ece: of all images together, 15 bins.
        nll: in nats, over the images whose class has a probability; NaN where none has.
        infinite_nll: how many images' class has none.
        nll_clipped: in nats, at a probability of at least 1e-7.
    """

    confidence: float
    entropy: float
    brier: float
    ece: float
    nll_clipped: float
    nll: float
    infinite_nll: int
    top5: float


@dataclass(frozen=True)
class Spread:
    """How a score's means over images are spread over the corruptions."""

    least: float
    first_quartile: float
    median: float
    third_quartile: float
    greatest: float
    mean: float


@dataclass(frozen=True)
class AtSeverity:
    """All corruptions of one severity together; severity 0 is the clean images, which have no spread."""

    severity: int
    accuracy: Estimate
    scores: Scores
    auc: float
    accuracy_spread: Spread | None
    brier_spread: Spread | None


@dataclass(frozen=True)
class Cell:
    """One corruption of one severity."""

    accuracy: float
    scores: Scores


@dataclass(frozen=True)
class NetworkRobustness:
    """One network on clean and on corrupted images.

    Attributes:
        retained: corrupted accuracy as a share of the clean one; NaN where no clean image is right.
        corrupted: all corrupted images together.
        relative: None without a reference.
        severities: from 0 on.
        accuracies: of each corruption, over all severities.
        cells: of each corruption, by severity.
    """

    clean_accuracy: Estimate
    corrupted_accuracy: Estimate
    retained: float
    relative: Relative | None
    clean: Cell
    corrupted: Scores
    severities: tuple[AtSeverity, ...]
    accuracies: tuple[Estimate, ...]
    cells: tuple[tuple[Cell, ...], ...]


@dataclass(frozen=True)
class Robustness:
    """Networks on n images, clean and under C corruptions of S severities.

    Attributes:
        images: n.
        reference: the name of the network that errors are divided by.
        networks: by name.
    """

    images: int
    corruptions: tuple[str, ...]
    severities: tuple[int, ...]
    reference: str | None
    networks: Mapping[str, NetworkRobustness]


def robustness(shifted: Shifted, reference: Reference | None, *, resamples: int, seed: int) -> Robustness:
    """What corruption costs each network.

    Args:
        reference: the network that errors are divided by (:meth:`Shifted.reference`, :func:`read_reference`); without
            one there is no mCE.
    """
    weights = bootstrap_weights(shifted.images, resamples=resamples, seed=seed).double() / shifted.images  # (B, n)
    networks = {name: _network(shifted, row, reference, weights) for row, name in enumerate(shifted.networks)}
    name = None if reference is None else reference.name
    return Robustness(shifted.images, shifted.corruptions, shifted.severities, name, networks)


def _network(shifted: Shifted, row: int, reference: Reference | None, weights: Tensor) -> NetworkRobustness:
    scores = {score: values[row] for score, values in shifted.scores.items()}  # (C, S, n)
    clean_scores = {score: values[row] for score, values in shifted.clean.items()}  # (n,)
    hits, clean = scores["correct"].double(), clean_scores["correct"].double()
    at_severities = [AtSeverity(0, _mean(clean, weights), scores_of(clean_scores), float(shifted.clean_auc[row]), None,
                                None)]  # fmt: skip
    for column, severity in enumerate(shifted.severities):
        pooled = {score: values[:, column] for score, values in scores.items()}  # (C, n)
        at_severities.append(
            AtSeverity(
                severity,
                _mean(pooled["correct"].double().mean(0), weights),
                scores_of(pooled),
                float(shifted.auc[row, :, column].mean()),
                spread_of(pooled["correct"]),
                spread_of(pooled["brier"]),
            )
        )
    cells = tuple(
        tuple(_cell({score: values[c, s] for score, values in scores.items()}) for s in range(len(shifted.severities)))
        for c in range(len(shifted.corruptions))
    )
    return NetworkRobustness(
        _mean(clean, weights),
        _mean(hits.mean((0, 1)), weights),
        float(hits.mean() / clean.mean()) if clean.any() else math.nan,
        None if reference is None else _relative(1 - hits, 1 - clean, shifted.corruptions, reference, weights),
        _cell(clean_scores),
        scores_of(scores),
        tuple(at_severities),
        tuple(_mean(of_corruption.mean(0), weights) for of_corruption in hits),
        cells,
    )


def _relative(
    errors: Tensor, clean: Tensor, corruptions: Sequence[str], reference: Reference, weights: Tensor
) -> Relative:
    """Resampled over images; a reference that saw the same images is resampled with them.

    Args:
        errors: (C, S, n), 1 where wrong. clean: (n,).
    """

    def both(average: Callable[[Tensor], Tensor]) -> tuple[Tensor, Tensor]:
        averages, averages_clean = average(errors), average(clean)
        divisors, divisors_clean = average(reference.errors), average(reference.clean)
        return (
            corruption_errors(averages, divisors).mean(-1),
            relative_corruption_errors(averages, averages_clean, divisors, divisors_clean).mean(-1),
        )

    def resampled(values: Tensor) -> Tensor:  # (..., n) -> (B, ...); of others' images only the share is known
        if values.shape[-1] == 1:
            return values[..., 0].expand(len(weights), *values.shape[:-1])
        return (values @ weights.T).movedim(-1, 0)

    mce, relative_mce = (
        estimate(Resampled(float(value), samples), n=errors.shape[-1], unit="images")
        for value, samples in zip(both(lambda values: values.mean(-1)), both(resampled), strict=True)
    )
    ratios = corruption_errors(errors.mean(-1), reference.errors.mean(-1))
    in_benchmark = torch.tensor([name not in EXTRA for name in corruptions])
    return Relative(mce, relative_mce, float(ratios[in_benchmark].mean()), tuple(ratios.tolist()))


def scores_of(scores: Mapping[str, Tensor]) -> Scores:
    """Means over all images of per-image scores of any shape (:func:`src.statistics.calibration.per_image`)."""
    nll = scores["nll"].double()
    finite = nll.isfinite()
    return Scores(
        confidence=float(scores["confidence"].double().mean()),
        entropy=float(scores["entropy"].double().mean()),
        brier=float(scores["brier"].double().mean()),
        ece=float(ece(scores["confidence"].flatten(), scores["correct"].flatten())),
        nll=float(nll[finite].mean()) if finite.any() else math.nan,
        infinite_nll=int((~finite).sum()),
        nll_clipped=float(scores["nll_clipped"].double().mean()),
        top5=float(scores["top5"].double().mean()),
    )


def spread_of(values: Tensor) -> Spread:
    """Of the corruptions' means over images; ``values`` (C, n)."""
    means = values.double().mean(1)
    least, first, median, third, greatest = means.quantile(torch.tensor(QUARTILES, dtype=torch.float64)).tolist()
    return Spread(least, first, median, third, greatest, float(means.mean()))


def _cell(scores: Mapping[str, Tensor]) -> Cell:
    return Cell(float(scores["correct"].double().mean()), scores_of(scores))


def _mean(values: Tensor, weights: Tensor) -> Estimate:
    """Mean of (n,) values with its interval; ``weights`` float64 (B, n), rows sum to 1."""
    return estimate(Resampled(float(values.mean()), weights @ values), n=len(values), unit="images")


@dataclass(frozen=True)
class CorruptedImages(Shown):
    """A few images as the networks see them.

    Attributes:
        images: uint8 (C, k, 1 + S, channels, height, width): of each corruption k images, clean and by severity.
    """

    images: Tensor
    corruptions: tuple[str, ...]
    severities: tuple[int, ...]


def corrupted_images(
    images: Tensor, corruptions: Sequence[str], severities: Sequence[int], *, seed: int
) -> CorruptedImages:
    """Two of the ``images`` uint8 (n, C, H, W)."""
    shown = images[:: max(1, len(images) // 2)][:2]
    rows = [
        torch.stack([shown, *(corrupt(shown, name, severity, seed=seed) for severity in severities)], dim=1)
        for name in corruptions
    ]
    return CorruptedImages(torch.stack(rows), tuple(corruptions), tuple(severities))
