"""Means over seeds with Student's interval."""

from __future__ import annotations

import math
from typing import Any

import pytest

from src.result import Result
from src.tasks.over_seeds import add_over_seeds, interval


def job(seed: int, rule: str, **values: float) -> tuple[dict[str, Any], dict[str, Any]]:
    metrics = {name: {"value": value} for name, value in values.items()}
    return {"task": "compose", "rule": rule, "seed": seed}, {"metrics": metrics, "row": {"rule": rule}}


def test_the_interval_is_students():
    # mean 2, deviation 1, t of two degrees of freedom 4.3027: half width 4.3027 / sqrt(3)
    assert interval([1.0, 2.0, 3.0]) == pytest.approx((2 - 2.48413, 2 + 2.48413), abs=1e-4)
    assert all(math.isnan(end) for end in interval([1.0]))


def test_jobs_that_differ_in_more_than_their_seed_stay_apart():
    result = Result("compare", "sweep", tables={"jobs": {}}, screen=["jobs"])
    found = [job(0, "soft", accuracy=0.4), job(1, "soft", accuracy=0.6), job(0, "hard", accuracy=0.3, gap=1.0)]
    add_over_seeds(result, found, ["accuracy", "gap", "absent"])
    table = result.tables["over_seeds"]
    assert table["metric"] == ["accuracy", "accuracy", "gap"]
    assert table["rule"] == ["soft", "hard", "hard"] and table["seeds"] == [2, 1, 1]
    assert table["value"] == pytest.approx([0.5, 0.3, 1.0])
    assert result.screen == ["over_seeds", "jobs"]


def test_nothing_is_said_of_nothing():
    result = Result("compare", "sweep")
    add_over_seeds(result, [], ["accuracy"])
    assert not result.tables
