"""Terms alone and together, and comparisons at the same cost."""

import math

import pytest

from src.statistics.claims import equal_cost, regression
from tests.statistics.claims.jobs import jobs, table


def rows_of(found):
    return [dict(zip(found, values, strict=True)) for values in zip(*found.values(), strict=True)]


def confounded(**settings):
    return jobs(
        lambda row: 0.3 + 0.06 * math.log10(row["macs"]), between=0.004, within=0.004,
        log_macs=lambda row: 10 - 0.13 * row["location"] + 0.3 * row["wobble"], **settings,
    )  # fmt: skip


TERMS = ["location", "log macs", "log parameters", "log2 minimum_width"]


def test_a_confounder_shows_beside_the_term_it_stands_behind() -> None:
    found = rows_of(regression(table(confounded()), outcome="test_accuracy", terms=TERMS, resamples=800))
    alone = {row["term"]: row for row in found if row["model"] == "alone"}
    together = {row["term"]: row for row in found if row["model"] == "together"}
    assert list(together) == ["location", "log10 macs", "log10 parameters", "log2 minimum_width"] == list(alone)
    assert alone["location"]["coefficient_high"] < 0
    assert together["location"]["coefficient_low"] < 0 < together["location"]["coefficient_high"]
    assert together["log10 macs"]["coefficient_low"] < 0.06 < together["log10 macs"]["coefficient_high"]
    assert alone["location"]["variance_inflation"] == pytest.approx(1) and alone["location"]["standardised"] < -0.8
    assert together["location"]["variance_inflation"] > 3 > together["log10 parameters"]["variance_inflation"]
    assert together["location"]["explained"] > alone["log10 macs"]["explained"] > alone["location"]["explained"]
    assert {(row["units"], row["seeds"], row["note"], row["data"]) for row in found} == {(24, 4, "", "glyphs")}


def test_models_that_cannot_be_fitted_are_refused_in_words() -> None:
    few = rows_of(regression(table(confounded(units=5)), outcome="test_accuracy", terms=TERMS[:3], resamples=100))
    assert [row["note"] for row in few] == ["", "", "", *["refused: 5 variants are too few for 3 terms"] * 3]
    assert few[-1]["coefficient"] is None and few[0]["coefficient"] is not None
    rows = [{**row, "macs": 1e8} for row in confounded()]
    same = rows_of(regression(table(rows), outcome="test_accuracy", terms=["location", "log macs"], resamples=100))
    assert [row["note"] for row in same] == ["", *["refused: log10 macs is the same in all runs"] * 3]
    twice = rows_of(regression(table(rows), outcome="test_accuracy", terms=["location", "location"], resamples=100))
    assert [row["note"] for row in twice] == ["", "", *["the terms cannot be told apart"] * 2]
    failed = [{**row, "status": "failed"} for row in rows]
    nothing = rows_of(regression(table(failed), outcome="test_accuracy", terms=["location"]))
    assert [row["note"] for row in nothing] == ["refused: 0 variants are too few for 1 term"]


def test_nothing_is_compared_where_the_costs_do_not_overlap() -> None:
    rows = jobs(log_macs=lambda row: 10 - 0.13 * row["location"])
    (row,) = rows_of(equal_cost(table(rows), outcome="test_accuracy", cost="macs"))
    assert row["note"].startswith("no overlap: early 3.02e+09 to 1e+10, late ") and row["difference"] is None
    assert (row["early"], row["late"]) == (10, 10)
    early = [row for row in rows if row["location"] is not None and row["location"] <= 4]
    (row,) = rows_of(equal_cost(table(early), outcome="test_accuracy", cost="macs"))
    assert "only one of the groups" in row["note"]


@pytest.mark.parametrize("own", [0.0, 0.05])
def test_a_difference_at_equal_cost_is_the_groups_own(own: float) -> None:
    """Accuracy grows with the cost, and early ones cost more on the whole: only the rest is theirs."""
    rows = jobs(
        lambda row: 0.3 + 0.06 * math.log10(row["macs"]) + own * (row["location"] <= 4), units=120, between=0.005,
        log_macs=lambda row: 10 - 0.05 * row["location"] + 0.4 * row["wobble"],
    )  # fmt: skip
    *bins, every = rows_of(equal_cost(table(rows), outcome="test_accuracy", cost="macs", resamples=500, bins=6))
    assert [row["bin"] for row in bins] == [f"bin {k}" for k in range(1, 7)] and every["bin"] == "all bins"
    assert every["difference"] == pytest.approx(own, abs=0.01)
    assert (every["difference_low"] > 0) == (own > 0) and every["difference_low"] < every["difference_high"]
    assert every["early"] + every["late"] < 100 and every["cost_ratio"] < 1.5
    assert all((row["difference"] is None) == bool(row["note"]) for row in bins)
    assert [row["cost_to"] for row in bins[:-1]] == pytest.approx([row["cost_from"] for row in bins[1:]])
