"""What a run is judged by: a column of its row, or what is read from its learning curves."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from src.statistics.claims.terms import Row, number
from src.statistics.claims.words import counted

REACHED_BY = 0.9  # share of the runs that must reach the common training accuracy
RUN = ("variant", "seed", "data")  # columns that tell whose curve it is


class Outcome(NamedTuple):
    """A value per row: float64 (N,), NaN where there is none; and what a reader must know of it, if anything."""

    values: np.ndarray
    note: str = ""


Curves = Mapping[tuple[Any, ...], tuple[np.ndarray, np.ndarray]]  # run and split -> epochs (E,), accuracies (E,)


def outcome(metric: str, rows: Sequence[Row], curves: Curves) -> Outcome:
    """``metric`` of each row."""
    if metric in DERIVED:
        return DERIVED[metric](rows, curves)
    values = np.array([number(row[metric]) for row in rows], dtype=np.float64)
    missing = int(np.isnan(values).sum())
    return Outcome(values, f"{counted(missing, 'run')} without {metric} left out" if missing else "")


def curves_of(table: Mapping[str, Sequence[Any]]) -> Curves:
    """The accuracies of a long table of curves (``variant, seed, data, epoch, split, accuracy``), by run and split."""
    points: dict[tuple[Any, ...], list[tuple[float, float]]] = {}
    for *key, epoch, accuracy in zip(
        *(table.get(name, ()) for name in (*RUN, "split", "epoch", "accuracy")), strict=True
    ):
        if not math.isnan(number(accuracy)):
            points.setdefault(tuple(key), []).append((float(epoch), float(accuracy)))
    return {key: (line[:, 0], line[:, 1]) for key, line in ((k, np.array(sorted(v))) for k, v in points.items())}


def gap_at_equal_training_accuracy(rows: Sequence[Row], curves: Curves) -> Outcome:
    """Training minus validation accuracy where a run first reaches the training accuracy that all are compared at.

    At the last epoch networks differ in how far they have learned, and the gap grows with that: it would call the
    slowest learner the one that overfits least. The common level is the highest that nine in ten of these runs reach;
    between epochs both curves are straight lines. Runs that never reach it, and runs above it from their first epoch
    on, have no gap (NaN) and are counted in the note.
    """
    lines = [
        tuple(curves.get((*(row[name] for name in RUN), split)) for split in ("train", "validation")) for row in rows
    ]
    reached = sorted((float(train[1].max()) for train, _ in lines if train is not None), reverse=True)
    if not reached:
        return Outcome(np.full(len(rows), math.nan), "no learning curves")
    level = reached[math.ceil(REACHED_BY * len(reached)) - 1]
    values = np.full(len(rows), math.nan)
    never = above = 0
    for index, (train, validation) in enumerate(lines):
        if train is None or validation is None or train[1].max() < level:
            never += 1
        elif train[1][0] > level:
            above += 1
        else:
            values[index] = level - np.interp(_crossing(*train, level), *validation)
    left_out = [f"{counted(never, 'run')} that never got there left out"] if never else []
    left_out += [f"{counted(above, 'run')} above it from the first epoch on left out"] if above else []
    return Outcome(values, ", ".join([f"at a training accuracy of {level:.1%}", *left_out]))


def _crossing(epochs: np.ndarray, accuracies: np.ndarray, level: float) -> float:
    """The epoch, with its fraction, at which the curve first reaches the level."""
    after = int(np.argmax(accuracies >= level))
    if after == 0:
        return float(epochs[0])
    step = (level - accuracies[after - 1]) / (accuracies[after] - accuracies[after - 1])
    return float(epochs[after - 1] + step * (epochs[after] - epochs[after - 1]))


DERIVED: dict[str, Callable[[Sequence[Row], Curves], Outcome]] = {
    "gap_at_equal_training_accuracy": gap_at_equal_training_accuracy
}
