"""Overfitting is compared where all runs have learned equally much."""

import math

import numpy as np
import pytest

from src.statistics.claims import judge
from src.statistics.claims.outcomes import curves_of, gap_at_equal_training_accuracy
from tests.statistics.claims.jobs import claim, jobs, table


def curves(runs):
    """variant -> (training accuracies, validation accuracies), one per epoch from 1 on, as a long table."""
    rows = [
        {"variant": variant, "seed": 0, "data": "glyphs", "epoch": epoch, "split": split, "accuracy": accuracy}
        for variant, lines in runs.items()
        for split, line in zip(("train", "validation"), lines, strict=True)
        for epoch, accuracy in enumerate(line, 1)
    ]
    return table(rows[::-1])  # the order of rows must not matter


def gaps(runs):
    rows = [{"variant": variant, "seed": 0, "data": "glyphs"} for variant in runs]
    return gap_at_equal_training_accuracy(rows, curves_of(curves(runs)))


def test_the_gap_is_read_between_epochs_where_the_level_is_first_crossed() -> None:
    found = gaps({
        "fast": ([0.2, 0.6, 1.0, 0.7], [0.2, 0.5, 0.6, 0.9]),  # crosses 0.8 at epoch 2.5, and again later
        "slow": ([0.1, 0.4, 0.5, 0.8], [0.1, 0.4, 0.5, 0.7]),  # reaches 0.8 just once, at the end
    })  # fmt: skip
    assert found.values == pytest.approx([0.8 - 0.55, 0.8 - 0.7]) and found.note == "at a training accuracy of 80.0%"


def test_nine_in_ten_runs_reach_the_level_and_the_others_are_counted() -> None:
    runs = {str(k): ([0.1, 0.5 + 0.02 * k], [0.1, 0.5]) for k in range(20)}
    runs["10"] = ([0.9, 0.95], [0.9, 0.9])
    found = gaps(runs)
    assert found.note == (
        "at a training accuracy of 54.0%, 2 runs that never got there left out, "
        "1 run above it from the first epoch on left out"
    )
    assert np.flatnonzero(np.isnan(found.values)).tolist() == [0, 1, 10]


def test_runs_without_curves_have_no_gap() -> None:
    found = gap_at_equal_training_accuracy([{"variant": "1", "seed": 0, "data": "glyphs"}], {})
    assert np.isnan(found.values).all() and found.note == "no learning curves"
    unknown = curves({"1": ([0.1, math.nan, 0.3], [0.1, None, 0.3])})
    (line,) = [line for key, line in curves_of(unknown).items() if key[-1] == "train"]
    assert line[0].tolist() == [1, 3]


def test_at_the_last_epoch_it_would_look_the_other_way_round() -> None:
    """Late-heavy networks learn more slowly and overfit more at the same training accuracy."""
    rows, runs = [], {}
    draw = np.random.default_rng(0)
    for row in jobs(seeds=1):
        row |= {"seed": 0, "train_accuracy": None}
        location = row["location"] or 0.0
        train = np.minimum(1, np.linspace(0.1, 1.3 - 0.04 * location, 12))
        gap = (0.1 + 0.01 * location) * train**4 + draw.normal(0, 0.002)
        runs[row["variant"]] = (train.tolist(), (train - gap).tolist())
        row["last_gap"] = gap[-1]
        rows.append(row)
    design = {"units": 12, "each_side": 4, "span": {"location": [4, 11]}}
    last = claim("last", metric="last_gap", direction="positive", design=design)
    equal = claim("equal", metric="gap_at_equal_training_accuracy", direction="positive", design=design)
    verdicts = judge([last, equal], table(rows), curves(runs), gates={"glyphs": 0.5}, resamples=500)
    assert [verdict.verdict for verdict in verdicts] == ["contradicted", "supported"]
    assert "at a training accuracy of 74.0%, 2 runs that never got there left out" in verdicts[1].reason
