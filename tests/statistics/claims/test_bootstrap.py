"""Resamples are drawn in two stages, and least squares under weights equals least squares on repeated rows."""

import numpy as np
import pytest

from src.statistics.claims.bootstrap import (
    expanded,
    interval,
    least_squares,
    two_sided_p,
    two_stage_weights,
    unit_weights,
)


def test_units_are_drawn_first_and_then_their_rows() -> None:
    unit = np.array([0, 1, 0, 2, 1, 0, 3])  # 3, 2, 1 and 1 rows, not in order
    weights = two_stage_weights(unit, resamples=4000, seed=0)
    assert weights.shape == (4000, 7) and np.allclose(weights.sum(axis=1), 4)
    by_unit = np.stack([weights[:, unit == one].sum(axis=1) for one in range(4)])
    assert np.allclose(by_unit, by_unit.round()), "a drawn unit weighs one, however many rows it has"
    assert np.allclose(by_unit.mean(axis=1), 1, atol=0.05)
    assert ((weights[:, 0] == 0) & (by_unit[0] > 0)).any(), "a row can be missing where its unit is drawn"
    assert np.array_equal(weights, two_stage_weights(unit, resamples=4000, seed=0))
    assert not np.array_equal(weights, two_stage_weights(unit, resamples=4000, seed=1))


def test_strata_keep_their_units() -> None:
    unit = np.array([0, 0, 1, 1, 2, 2, 3, 3, 4, 4])
    strata = np.array([7, 7, 1, 1, 7, 7, 1, 1, 1, 1])
    weights = two_stage_weights(unit, resamples=500, seed=0, strata=strata)
    assert np.allclose(weights[:, strata == 7].sum(axis=1), 2) and np.allclose(weights[:, strata == 1].sum(axis=1), 3)
    assert (weights == 0).any(axis=0).all()


def test_least_squares_equals_numpy_on_repeated_rows() -> None:
    draw = np.random.default_rng(0)
    terms = np.column_stack(
        [draw.normal(5, 2, 40), 1e8 + 1e5 * draw.normal(size=40)]
    )  # far from zero and unlike in size
    outcome = 0.3 * terms[:, 0] + 1e-6 * terms[:, 1] + draw.normal(size=40)
    weights = draw.integers(0, 4, (3, 40)).astype(float)
    fit = least_squares(terms, outcome, weights)
    for slopes, standardised, share, explained, counts in zip(*fit, weights, strict=True):
        rows = np.repeat(np.arange(40), counts.astype(int))
        inner = terms[rows] - terms.mean(axis=0)
        expected, rest, *_ = np.linalg.lstsq(np.column_stack([np.ones(len(rows)), inner]), outcome[rows])
        assert slopes == pytest.approx(expected[1:], rel=1e-6)
        assert standardised == pytest.approx(slopes * terms[rows].std(axis=0) / outcome[rows].std())
        assert explained == pytest.approx(1 - rest[0] / len(rows) / outcome[rows].var())
        assert share == pytest.approx(1 - np.corrcoef(terms[rows].T)[0, 1] ** 2)


def test_terms_that_cannot_be_told_apart_have_no_slope() -> None:
    line = np.linspace(0, 1, 10)
    even = np.ones((1, 10))
    assert np.isnan(least_squares(np.column_stack([line, 3 * line + 1]), line, even).slopes).all()
    assert np.isnan(least_squares(np.full((10, 1), 0.1), line, even).slopes).all()
    only_one = np.zeros((1, 10))
    only_one[0, 3] = 5
    assert np.isnan(least_squares(line[:, None], line, only_one).slopes).all()
    assert least_squares(line[:, None], np.full(10, 0.7), even).slopes == 0


def test_a_unit_with_more_seeds_does_not_count_more() -> None:
    unit, outcome = np.array([0, 0, 0, 1, 2]), np.array([0.0, 1.0, 2.0, 2.5, 3.0])
    slope = least_squares(np.array([0.0, 0, 0, 1, 2])[:, None], outcome, unit_weights(unit)).slopes
    assert slope == pytest.approx(np.polyfit([0, 1, 2], [1, 2.5, 3], 1)[0])


def test_few_units_widen_the_interval_by_students_t() -> None:
    samples = np.random.default_rng(0).normal(2, 1, 20000)
    low, high = interval(expanded(2.0, samples, units=8, terms=1, level=0.95), 0.95)
    assert high - 2 == pytest.approx(2.4469 * np.sqrt(8 / 6), rel=0.03)  # t at 6 degrees of freedom
    assert 2 - low == pytest.approx(high - 2, rel=0.05)


def test_p_counts_the_rarer_side_and_what_was_lost() -> None:
    samples = np.arange(1.0, 100.0)  # 99
    assert two_sided_p(samples, 0) == pytest.approx(2 * 1 / 100)
    assert two_sided_p(samples, 3.5) == pytest.approx(2 * 4 / 100)
    assert two_sided_p(samples, 96.5) == pytest.approx(2 * 4 / 100)
    assert two_sided_p(samples, 50) == 1
    samples[-2:] = np.nan
    assert two_sided_p(samples, 0) == pytest.approx(2 * 3 / 100)
    assert interval(samples, 0.9) == pytest.approx((5.8, 92.2))
    assert np.isnan(interval(np.full(3, np.nan), 0.9)).all()
