"""What a sweep varied, what of it is missing, and what matters."""

from __future__ import annotations

from typing import Any

import pytest

from src.core.result import Result
from src.report.over.axes import add_axes, share_of_variance
from src.report.over.over_seeds import settings_of
from src.report.page import render


def swept(missing: int = 0) -> Result:
    """Width decides all but a little; the last jobs of the grid are not there."""
    jobs = [job(width, rate, seed) for width in (1, 2, 4) for rate in (0.1, 0.2) for seed in (0, 1)]
    result = Result("compare", "sweep", units={"accuracy": "%"})
    add_axes(result, settings_of(jobs[: len(jobs) - missing]), "accuracy")
    return result


def job(width: int, rate: float, seed: int) -> tuple[dict[str, Any], dict[str, Any]]:
    value = 0.1 * width + 0.01 * seed
    plain = {"status": "ok", "metrics": {"accuracy": {"value": value}}, "units": {}}
    return {"task": "train", "recipe": {"width": width, "rate": rate}, "seed": seed}, plain


def test_the_key_that_decides_comes_first():
    table = swept().tables["axes"]
    assert table["axis"][0] == "Recipe.width"
    assert table["share"][0] > 0.95 and min(table["share"]) == pytest.approx(0.0)
    assert share_of_variance([("a", 1.0), ("a", 3.0), ("b", 2.0)]) == 0.0


def test_two_numeric_axes_are_drawn_side_by_side():
    result = swept()
    assert [figure.kind for figure in result.figures] == ["bars", "parallel"]
    assert set(result.tables["parallel"]) == {"recipe.width", "recipe.rate", "accuracy"}
    assert "Recipe.width" in render(result)


def test_holes_are_counted_and_named():
    assert swept().events == []
    (event,) = swept(missing=3).events
    assert event.startswith("holes in the grid: 2 combinations have no verdict: recipe.width=4, recipe.rate=0.2;")
    assert "4, 0.1, seed 1 (not run)" in event
