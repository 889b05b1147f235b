"""Decisions of observers as files, in the columns of the public data sets, and how alike observers err.

Geirhos et al. (texture-vs-shape; model-vs-human): a CSV per observer and session, or several observers in one.
"""

import csv
import io
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any, NamedTuple

import pandas as pd
import torch
from torch import Tensor

from src.core.errors import UserError, suggestion
from src.core.files import FORMULA, without_formula, write_atomically
from src.data.cue_conflict import Cues, cue_numbers, cues_of
from src.data.distorted import NO_CONDITION, condition_of, identity_of
from src.methods.locality.shape_bias import Trials

COLUMNS = ("subj", "session", "trial", "rt", "object_response", "category", "condition", "imagename")
NO_ANSWER = ("na", "")  # a person who did not answer in time


def read_decisions(place: Path, categories: Collection[str] = ()) -> pd.DataFrame:
    """One row per trial, the public columns as words, in whatever order and case a file has them.

    Args:
        place: a CSV, or a folder of them.
        categories: that there are; none: any.

    Raises:
        UserError: a file cannot be read, a column is missing, a trial of an observer stands there twice, or a category
            is unknown.
    """
    files = sorted(place.glob("*.csv")) if place.is_dir() else [place]
    if not files:
        raise UserError(f"decisions {place}: holds no CSV; give a file or a folder with {', '.join(COLUMNS)}")
    table = pd.concat([_read(file) for file in files], ignore_index=True)
    doubled = table.duplicated(["subj", "session", "trial"])
    if doubled.any():
        row = table[doubled].iloc[0]
        raise UserError(
            f"decisions {place}: {int(doubled.sum())} trials stand in it twice, first trial {row['trial']} of session "
            f"{row['session']} of {row['subj']}; keep one of each"
        )
    for column in ("category", "object_response") if categories else ():
        known = [*categories, *(NO_ANSWER if column == "object_response" else ())]
        strange = table[~table[column].isin(known)]
        if len(strange):
            row = strange.iloc[0]
            raise UserError(
                f"decisions {place}: {column} '{row[column]}' in trial {row['trial']} of {row['subj']} is no category; "
                f"{suggestion(row[column], categories)}"
            )
    table["condition"] = table["condition"].map(condition_of)
    return table


def _read(path: Path) -> pd.DataFrame:
    needed = f"it needs {', '.join(COLUMNS)}"
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            lines = [line for line in csv.reader(file, strict=True) if line]
    except (OSError, ValueError, csv.Error) as error:
        reason = " ".join(str(error).split())[:120]
        raise UserError(f"decisions {path}: cannot be read ({reason}); give a CSV, {needed}") from None
    header = [name.strip().lower() for name in lines[0]] if lines else []  # some public files have Session
    missing = [name for name in COLUMNS if name not in header]
    if missing:
        raise UserError(f"decisions {path}: no column {', '.join(missing)}; {needed}")
    uneven = next((number for number, line in enumerate(lines, 1) if len(line) != len(header)), None)
    if uneven is not None:
        cells = len(lines[uneven - 1])
        raise UserError(f"decisions {path}: line {uneven} has {cells} cells, the first {len(header)}; mend it")
    places = [header.index(name) for name in COLUMNS]
    rows = [[_plain(line[place]) for place in places] for line in lines[1:]]
    return pd.DataFrame(rows, columns=list(COLUMNS), dtype=object)


def _plain(cell: str) -> str:
    return cell[1:] if cell.startswith("'") and cell[1:].startswith(FORMULA) else cell


def write_decisions(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Rows in the public columns as a CSV, whole or not at all; no cell is a formula to a spreadsheet."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for row in rows:
        writer.writerow([without_formula(str(row[name])) for name in COLUMNS])
    write_atomically(path, text.getvalue())


def decisions_table(
    observer: str,
    names: Sequence[str],
    answers: Sequence[str],
    categories: Sequence[str],
    conditions: Sequence[str] = (),
    sessions: Sequence[str] = (),
) -> list[dict[str, Any]]:
    """Rows in the public columns; ``category`` is the shape's, no condition is '0', no session is '1'."""
    conditions, sessions = conditions or [NO_CONDITION] * len(names), sessions or ["1"] * len(names)
    return [
        {"subj": observer, "session": session, "trial": number, "rt": "NaN", "object_response": answer,
         "category": category, "condition": condition, "imagename": name}
        for number, (name, answer, category, condition, session) in enumerate(
            zip(names, answers, categories, conditions, sessions, strict=True), 1)
    ]  # fmt: skip


def trials_of(answers: Sequence[str], cues: Sequence[Cues], categories: Sequence[str]) -> Trials:
    """What was answered to images with two cues: counts of a network and of a file go this one way.

    Args:
        answers: names of categories; others count as none of them.
        cues: of each image, two different categories.
    """
    number = {name: place for place, name in enumerate(categories)}

    def of(key: str) -> Tensor:
        return cue_numbers(cues, key, categories)

    answer = torch.tensor([number.get(answer, -1) for answer in answers], dtype=torch.int64)
    return Trials(answer, of("shape"), of("texture"), of("shape_source"), of("texture_source"), tuple(categories))


def conflicts_of(table: pd.DataFrame) -> tuple[list[str], list[Cues]]:
    """Answers and cues of the trials with two different cues.

    Raises:
        UserError: an image's name tells no cues.
    """
    answers, listed = [], []
    for name, answer in zip(table["imagename"], table["object_response"], strict=True):
        cues = cues_of(name)
        if cues is None:
            raise UserError(f"decisions: '{name}' is not named <shape><n>-<texture><n>.png; leave such trials out")
        if cues.shape != cues.texture:
            answers.append(answer)
            listed.append(cues)
    return answers, listed


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


Key = tuple[str, int]  # which image, and the how manieth time it was shown


def consistency(first: Mapping[Key, bool], second: Mapping[Key, bool]) -> Consistency:
    """Of two observers' trials: which image -> whether it was right.

    Raises:
        UserError: they share no trial.
    """
    common = sorted(first.keys() & second.keys())
    if not common:
        raise UserError("decisions: two observers share no image; compare those of one data set")
    one, other = (torch.tensor([answers[key] for key in common]) for answers in (first, second))
    p, q, observed = (float(values.double().mean()) for values in (one, other, one == other))
    expected = p * q + (1 - p) * (1 - q)
    kappa = 1.0 if observed == 1 else (observed - expected) / (1 - expected)
    return Consistency(observed, expected, kappa, abs(p - q), len(common))


def right_by_image(table: pd.DataFrame) -> dict[Key, bool]:
    """Of one observer and condition: which image -> whether the decision is the category."""
    seen: Counter[str] = Counter()
    right = {}
    for name, answer, category in zip(table["imagename"], table["object_response"], table["category"], strict=True):
        image = identity_of(str(name))
        right[image, seen[image]] = answer == category
        seen[image] += 1
    return right


class Pair(NamedTuple):
    """Two observers within a condition."""

    first: str
    second: str
    condition: str
    consistency: Consistency


def pairs(table: pd.DataFrame, firsts: Sequence[str], seconds: Sequence[str]) -> Iterator[Pair]:
    """Each of the first with each other of the second observers, in every condition where they share images, once."""
    answers = {key: right_by_image(rows) for key, rows in table.groupby(["subj", "condition"])}
    conditions = sorted(table["condition"].unique())
    known: set[frozenset[str]] = set()
    for first in firsts:
        for second in seconds:
            if first == second or frozenset((first, second)) in known:
                continue
            known.add(frozenset((first, second)))
            for condition in conditions:
                one, other = answers.get((first, condition), {}), answers.get((second, condition), {})
                if one.keys() & other.keys():
                    yield Pair(first, second, condition, consistency(one, other))


@dataclass(frozen=True)
class Agreement:
    """Means over conditions for each two observers, and then over those, as published.

    Attributes:
        accuracy_difference: absolute. squared_difference: of accuracies, which is what is published and ranked.
        observed, kappa: as of `Consistency`.
        pairs: of observers. conditions: how many any two of them share at most.
    """

    accuracy_difference: float
    squared_difference: float
    observed: float
    kappa: float
    pairs: int
    conditions: int


def agreement(compared: Sequence[Pair]) -> Agreement:
    """Of several pairs.

    Raises:
        UserError: there is none.
    """
    if not compared:
        raise UserError("decisions: two observers share no image; compare those of one data set")
    couples: dict[tuple[str, str], list[Consistency]] = {}
    for pair in compared:
        couples.setdefault((pair.first, pair.second), []).append(pair.consistency)

    def mean(values: Sequence[Sequence[float]]) -> float:
        return fmean(fmean(each) for each in values)

    each = list(couples.values())
    return Agreement(
        mean([[one.accuracy_difference for one in several] for several in each]),
        mean([[one.accuracy_difference**2 for one in several] for several in each]),
        mean([[one.observed for one in several] for several in each]),
        mean([[one.kappa for one in several] for several in each]),
        len(each),
        max(map(len, each)),
    )


def mean_ranks(agreements: Mapping[str, Agreement]) -> dict[str, float]:
    """Observer -> mean of its ranks by squared difference, observed and error consistency; 1 is the most alike.

    Those that are equal share the mean of their ranks. It is a rank among these observers, and among no others.
    """
    from scipy.stats import rankdata  # slow to import

    columns = [[each.squared_difference, -each.observed, -each.kappa] for each in agreements.values()]
    return dict(zip(agreements, rankdata(columns, axis=0).mean(1).tolist(), strict=True))
