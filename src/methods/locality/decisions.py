"""Decisions of observers as files, in the columns of the public data sets, and how alike two observers err.

Geirhos et al. (texture-vs-shape; model-vs-human): one CSV per observer or several observers in one.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from src.core.errors import UserError
from src.data.cue_conflict import cues_of

COLUMNS = ("subj", "session", "trial", "rt", "object_response", "category", "condition", "imagename")


def read_decisions(path: Path) -> pd.DataFrame:
    """One row per trial, the public columns.

    Raises:
        UserError: the file cannot be read, a column is missing, a trial of an observer stands in it twice.
    """
    try:
        table = pd.read_csv(path, keep_default_na=False)
    except (OSError, ValueError) as error:
        raise UserError(f"decisions {path}: cannot be read ({error}); give a CSV with {', '.join(COLUMNS)}") from None
    missing = [name for name in COLUMNS if name not in table.columns]
    if missing:
        raise UserError(f"decisions {path}: no column {', '.join(missing)}; it needs {', '.join(COLUMNS)}")
    doubled = table.duplicated(["subj", "session", "trial"])
    if doubled.any():
        row = table[doubled].iloc[0]
        raise UserError(
            f"decisions {path}: {int(doubled.sum())} trials stand in it twice, first trial {row['trial']} of session "
            f"{row['session']} of {row['subj']}; keep one of each"
        )
    return table[list(COLUMNS)]


def decisions_table(
    observer: str, names: Sequence[str], answers: Sequence[str], categories: Sequence[str], condition: str = "0"
) -> list[dict[str, Any]]:
    """Rows in the public columns; ``category`` is the shape's."""
    return [
        {"subj": observer, "session": 1, "trial": number, "rt": "NaN", "object_response": answer,
         "category": category, "condition": condition, "imagename": name}
        for number, (name, answer, category) in enumerate(zip(names, answers, categories, strict=True), 1)
    ]  # fmt: skip


class Hits(NamedTuple):
    """Decisions for the shape's category, for the texture's, and trials in which the two differ."""

    shape: int
    texture: int
    trials: int


def hits(table: pd.DataFrame) -> Hits:
    """Counts over trials with two cues.

    Raises:
        UserError: an image's name tells no cues.
    """
    shape = texture = trials = 0
    for name, answer in zip(table["imagename"], table["object_response"], strict=True):
        cues = cues_of(name)
        if cues is None:
            raise UserError(f"decisions: '{name}' is not named <shape><n>-<texture><n>.png; leave such trials out")
        if cues.shape == cues.texture:
            continue
        trials += 1
        shape += answer == cues.shape
        texture += answer == cues.texture
    return Hits(shape, texture, trials)


@dataclass(frozen=True)
class Consistency:
    """How alike two observers err on the same trials.

    Attributes:
        observed: share of trials that both get right or both wrong.
        expected: the same for independent observers of their accuracies.
        kappa: (observed - expected) / (1 - expected); 1 where observed is 1 (Geirhos et al., NeurIPS 2020).
        accuracy_difference: absolute.
        trials: in common.
    """

    observed: float
    expected: float
    kappa: float
    accuracy_difference: float
    trials: int


def consistency(first: Mapping[str, bool], second: Mapping[str, bool]) -> Consistency:
    """Of two observers' trials: last part of the image's name -> whether it was right.

    Raises:
        UserError: they share no trial.
    """
    common = sorted(first.keys() & second.keys())
    if not common:
        raise UserError("decisions: two observers share no image; compare those of one data set")
    one, other = [first[name] for name in common], [second[name] for name in common]
    p, q = sum(one) / len(one), sum(other) / len(other)
    observed = sum(a == b for a, b in zip(one, other, strict=True)) / len(common)
    expected = p * q + (1 - p) * (1 - q)
    kappa = 1.0 if observed == 1 else (observed - expected) / (1 - expected)
    return Consistency(observed, expected, kappa, abs(p - q), len(common))


def right_by_image(table: pd.DataFrame) -> dict[str, bool]:
    """Last ``_`` part of the image's name -> whether the decision is the category."""
    keys = [str(name).rsplit("_", 1)[-1] for name in table["imagename"]]
    return dict(zip(keys, (table["object_response"] == table["category"]).tolist(), strict=True))


def against_observers(machine: pd.DataFrame, others: pd.DataFrame) -> list[Consistency]:
    """The machine against each other observer within each condition: of one observer the mean over conditions is its
    agreement, of all observers the mean over those (as published)."""
    return [
        consistency(right_by_image(ours), right_by_image(theirs))
        for condition, ours in machine.groupby("condition")
        for _, theirs in _observers(others[others["condition"].astype(str) == str(condition)])
    ]


def ceiling(observers: pd.DataFrame) -> list[Consistency]:
    """Every two observers of a condition: what an observer of the same kind could reach."""
    pairs = []
    for _, table in observers.groupby("condition"):
        answers = [right_by_image(rows) for _, rows in _observers(table)]
        pairs += [consistency(a, b) for number, a in enumerate(answers) for b in answers[:number]]
    return pairs


def _observers(table: pd.DataFrame) -> Iterable[tuple[Any, pd.DataFrame]]:
    return table.groupby("subj")
