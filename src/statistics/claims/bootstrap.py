"""Slopes with intervals over units and their repeated measures: all resamples in one product of matrices."""

from statistics import NormalDist
from typing import NamedTuple

import numpy as np

SINGULAR = 1e-9  # determinant of the terms' correlations below which a resample cannot tell them apart


def two_stage_weights(unit: np.ndarray, *, resamples: int, seed: int, strata: np.ndarray | None = None) -> np.ndarray:
    """How much each row counts in each resample: units are drawn with replacement, then rows within each drawn unit.

    A drawn unit weighs 1 however many rows it has, so a lost seed does not make a unit count less. Rows sum to the
    number of units. Drawing at both stages is on the safe side: it counts the variation within units nearly twice
    (Davison & Hinkley 1997, Bootstrap Methods and their Application, section 3.8).

    Args:
        unit: int (N,), the unit of each row, 0..U-1, every one of them present.
        strata: int (N,), constant within a unit; each keeps its number of units in every resample.

    Returns:
        float64 (B, N).
    """
    generator = np.random.default_rng(seed)
    order = np.argsort(unit, kind="stable")
    sizes = np.bincount(unit)  # (U,)
    first = np.cumsum(sizes) - sizes
    stratum = np.zeros(len(sizes), dtype=np.int64) if strata is None else strata[order[first]]
    by_stratum = np.argsort(stratum, kind="stable")
    _, where, members = np.unique(stratum[by_stratum], return_inverse=True, return_counts=True)
    begins = (np.cumsum(members) - members)[where]  # (U,)
    place = begins + (generator.random((resamples, len(sizes))) * members[where]).astype(np.int64)
    drawn = by_stratum[place][:, :, None]  # (B, U, 1)
    row = first[drawn] + (generator.random((*place.shape, sizes.max())) * sizes[drawn]).astype(np.int64)
    used = np.arange(sizes.max()) < sizes[drawn]  # (B, U, S): a unit with fewer rows draws fewer
    cell = order[row] + len(unit) * np.arange(resamples)[:, None, None]
    share = np.broadcast_to(1 / sizes[drawn], used.shape)
    counted = np.bincount(cell[used], weights=share[used], minlength=resamples * len(unit))
    return counted.reshape(resamples, len(unit))


def unit_weights(unit: np.ndarray) -> np.ndarray:
    """The weights of the data at hand: every unit weighs 1. float64 (1, N)."""
    return (1 / np.bincount(unit)[unit])[None]


class Fit(NamedTuple):
    """Weighted least squares with an intercept, B times; NaN where the terms cannot be told apart.

    ``slopes`` (B, K), ``standardised`` (B, K), ``share_left`` (B, K) of each term's variance beside the others (1 / its
    variance inflation), and ``explained`` (B,) of the outcome's variance.
    """

    slopes: np.ndarray
    standardised: np.ndarray
    share_left: np.ndarray
    explained: np.ndarray


def least_squares(terms: np.ndarray, outcome: np.ndarray, weights: np.ndarray) -> Fit:
    """Fit ``outcome`` (N,) by ``terms`` (N, K) under each row of ``weights`` (B, N)."""
    data = np.column_stack([terms, outcome])  # (N, K + 1)
    centre, scale = data.mean(axis=0), data.std(axis=0)
    scale[scale <= 1e-12 * np.abs(centre)] = np.inf  # what rounding leaves of a constant
    scale[scale == 0] = np.inf
    data = (data - centre) / scale  # so that the covariances below lose nothing to rounding
    count, width = data.shape
    total = weights.sum(axis=1)[:, None]
    means = weights @ data / total  # (B, K + 1)
    squares = (weights @ (data[:, :, None] * data[:, None, :]).reshape(count, -1) / total).reshape(-1, width, width)
    covariance = squares - means[:, :, None] * means[:, None, :]
    spread = np.sqrt(np.maximum(np.diagonal(covariance, axis1=1, axis2=2), 0))  # (B, K + 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        correlation = covariance / (spread[:, :, None] * spread[:, None, :])
        inner, outer = correlation[:, :-1, :-1].copy(), correlation[:, :-1, -1].copy()
        lost = ~np.isfinite(inner).all(axis=(1, 2)) | (spread[:, :-1] < 1e-9).any(axis=1)
        inner[lost] = np.eye(width - 1)
        lost |= np.linalg.det(inner) < SINGULAR
        inner[lost] = np.eye(width - 1)
        outer[np.isnan(outer)] = 0  # the outcome is constant: every slope is nothing
        inverse = np.linalg.inv(inner)
        standardised = np.einsum("bij,bj->bi", inverse, outer)
        slopes = standardised * spread[:, -1:] / spread[:, :-1]
        slopes *= np.where(np.isinf(scale[-1]), 0.0, scale[-1]) / scale[:-1]
    share_left = 1 / np.diagonal(inverse, axis1=1, axis2=2)
    explained = (standardised * outer).sum(axis=1)
    for values in (slopes, standardised, share_left, explained):
        values[lost] = np.nan
    return Fit(slopes, standardised, share_left, explained)


def expanded(value: float | np.ndarray, samples: np.ndarray, *, units: int, terms: int, level: float) -> np.ndarray:
    """Samples drawn apart around the value, so that their percentiles cover what they should with few units.

    Residuals of a fit are too small by sqrt((U - K - 1) / U), and a percentile of few units' resamples is one of the
    normal where Student's t is due (Hesterberg 2015, What Teachers Should Know About the Bootstrap, section 4.3, makes
    both good by moving the percentiles out; this is the same for the interval and keeps p in step with it).
    """
    from scipy.special import stdtrit

    freedom = units - terms - 1
    tail = (1 + level) / 2
    factor = np.sqrt(units / freedom) * stdtrit(freedom, tail) / NormalDist().inv_cdf(tail)
    return value + factor * (samples - value)


def resampled(
    terms: np.ndarray,
    outcome: np.ndarray,
    unit: np.ndarray,
    *,
    level: float,
    resamples: int,
    seed: int,
    strata: np.ndarray | None = None,
) -> tuple[Fit, np.ndarray, list[tuple[float, float]]]:
    """The fit to the data at hand, its slopes' samples (B, K) drawn apart, and the slopes' intervals."""
    fit = least_squares(terms, outcome, unit_weights(unit))
    weights = two_stage_weights(unit, resamples=resamples, seed=seed, strata=strata)
    samples = least_squares(terms, outcome, weights).slopes
    units, width = int(unit.max()) + 1, terms.shape[1]
    samples = expanded(fit.slopes[0], samples, units=units, terms=width, level=level)
    return fit, samples, [interval(column, level) for column in samples.T]


def interval(samples: np.ndarray, level: float) -> tuple[float, float]:
    """Percentile interval; resamples without a value are left out."""
    finite = samples[np.isfinite(samples)]
    if not len(finite):
        return float("nan"), float("nan")
    low, high = np.quantile(finite, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def two_sided_p(samples: np.ndarray, against: float) -> float:
    """Twice the share of resamples on the rarer side of ``against``; those without a value count for both sides."""
    lost = int((~np.isfinite(samples)).sum())
    rarer = min(int((samples <= against).sum()), int((samples >= against).sum())) + lost
    return min(1.0, 2 * (1 + rarer) / (1 + len(samples)))
