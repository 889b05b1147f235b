"""The profiles at the top of a sweep's page."""

from __future__ import annotations

import numpy as np

from src.core.result import Explorer, Result
from src.report.over.profiles import HEIGHT, add_profiles, picture_of

EXPLORER = Explorer("jobs", "variant", ("accuracy",), space=("location",), profile="widths")


def sweep(**columns: list[object]) -> Result:
    table = {
        "variant": ["baseline", "7", "7", "9", "12", "13"],
        "location": [None, 3, 3, 0, 5, 6],
        "widths": [[1, 1, 1], [1, 4, 1], [1, 4, 1], [4, 1, 1], [1, 1, 8], None],
        "accuracy": [0.5, 0.2, 0.4, 0.6, 0.7, None],
    }
    return Result("compare", "sweep", tables={"jobs": {**table, **columns}}, units={"accuracy": "%"})


def test_the_reference_stands_beside_the_first_and_the_last() -> None:
    result = sweep()
    steps = add_profiles(result, EXPLORER)
    assert [step.title for step in steps] == ["baseline", "variant 9", "variant 12"], "7 lies between, 13 has none"
    assert [step.text.rpartition("; ")[2] for step in steps] == [
        "what the others are compared with", "most of it early", "most of it late",
    ]  # fmt: skip
    assert [step.value for step in steps] == ["50.0% accuracy", "60.0% accuracy", "70.0% accuracy"]
    assert [step.picture for step in steps] == list(result.images)
    tall = [(result.images[step.picture] != 255).any(2).sum(0).max() for step in steps]
    assert tall[0] < tall[1] < tall[2] == HEIGHT, "all on one scale"


def test_values_of_one_name_are_a_mean_and_nothing_is_drawn_without_profiles() -> None:
    same = add_profiles(sweep(variant=["baseline", "7", "7", "8", "8", "8"]), EXPLORER)
    assert [step.value for step in same] == ["50.0% accuracy", "30.0% accuracy", "65.0% accuracy"]
    assert add_profiles(sweep(widths=[None] * 6), EXPLORER) == []
    assert add_profiles(Result("compare", "s", tables={"jobs": {"variant": ["1"]}}), EXPLORER) == []


def test_bars_stand_side_by_side_on_white() -> None:
    picture = picture_of([1, 2], 2)
    filled = (picture != 255).any(2).sum(0)
    assert filled[0] == HEIGHT // 2 and filled[9] == HEIGHT and picture.dtype == np.uint8
    assert (picture[:, 7:9] == 255).all()
