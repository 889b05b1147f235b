"""What was swept: which values of which keys, what is missing, and how much each key matters."""

import math
from collections.abc import Mapping, Sequence
from itertools import product
from statistics import fmean
from typing import Any

from src.core.result import Figure, Panel, Result
from src.report.cells import is_number
from src.report.over.over_seeds import Setting
from src.report.words import plain_text, pretty

FEWEST = 8  # jobs from which on shares of variance say anything
NAMED = 6  # missing combinations that are listed
PLAUSIBLE = 3  # a grid of more combinations per job than this was no grid
PARALLEL = 2  # numeric axes that it takes for parallel coordinates


def add_axes(result: Result, settings: Sequence[Setting], metric: str) -> None:
    """Add to the page of a sweep how much each key matters to ``metric``, and say which jobs are not there."""
    points = [({**one.keys, "seed": seed}, plain["metrics"][metric]["value"]) for one in settings
              for seed, plain in one.jobs.items() if metric in plain["metrics"]]  # fmt: skip
    points = [(keys, value) for keys, value in points if value is not None]
    axes = {key: list(dict.fromkeys(plain_text(keys.get(key)) for keys, _ in points)) for keys, _ in points
            for key in keys}  # fmt: skip
    axes = {key: values for key, values in axes.items() if len(values) > 1}
    result.events += _holes(settings)
    if len(axes) > 1 and len(points) >= FEWEST:
        shares: list[dict[str, Any]] = []
        for together in _changed_together([keys for keys, _ in points], list(axes)):
            by_value = [(plain_text(keys.get(together[0])), value) for keys, value in points]
            chance = (len(axes[together[0]]) - 1) / (len(points) - 1)
            for kind, share in (("in this sweep", share_of_variance(by_value)), ("by chance alone", chance)):
                shares.append({"axis": ", ".join(map(pretty, together)), "share": share, "kind": kind})
        highest = {row["axis"]: row["share"] for row in shares if row["kind"] == "in this sweep"}
        shares.sort(key=lambda row: -highest[row["axis"]])
        caption = (
            f"Share of the variance of {pretty(metric)} between {len(points)} jobs that lies between the values of a "
            "key: 100 where it decides alone. Beside it: what chance gives to as many values. Keys that were changed "
            "together are one."
        )
        figure = Figure(
            "bars",
            "axes",
            f"What {pretty(metric)} depends on",
            caption,
            x="axis",
            y="share",
            group="kind",
            percent=True,
        )
        result.add(Panel("Axes of the sweep", "axes", shares, "", {"share": "%"}, [figure]))
    numeric = [key for key in axes if key != "seed" and all(is_number(keys.get(key)) for keys, _ in points)]
    if len(numeric) >= PARALLEL:
        rows = [{**{key: float(keys[key]) for key in numeric}, metric: value} for keys, value in points]
        figure = Figure("parallel", "parallel", "All jobs over the numeric axes",
                        "A line per job, coloured by the last axis.", y=metric)  # fmt: skip
        units = {metric: unit} if (unit := result.units.get(metric, "")) else {}
        result.add(Panel("Axes of the sweep", "parallel", rows, "", units, [figure]))


def _changed_together(points: Sequence[Mapping[str, Any]], keys: Sequence[str]) -> list[list[str]]:
    """Keys that split the jobs alike, which nothing can tell apart."""
    groups: dict[tuple[int, ...], list[str]] = {}
    for key in keys:
        numbers: dict[str, int] = {}
        split = tuple(numbers.setdefault(plain_text(keys.get(key)), len(numbers)) for keys in points)
        groups.setdefault(split, []).append(key)
    return list(groups.values())


def share_of_variance(points: Sequence[tuple[str, float]]) -> float:
    """Variance between the groups over that between all points (eta squared); NaN where all points are equal."""
    middle = fmean(value for _, value in points)
    groups: dict[str, list[float]] = {}
    for name, value in points:
        groups.setdefault(name, []).append(value)
    whole = sum((value - middle) ** 2 for _, value in points)
    between = sum(len(values) * (fmean(values) - middle) ** 2 for values in groups.values())
    return between / whole if whole else math.nan


def _holes(settings: Sequence[Setting]) -> list[str]:
    """Which combinations of the swept values have no job with a verdict, where they are a grid."""
    if not settings:
        return []
    keys = [key for key in settings[0].keys if key in _independent(settings)]
    there = {tuple(plain_text(one.keys.get(key)) for key in keys) for one in settings}
    values = [list(dict.fromkeys(plain_text(one.keys.get(key)) for one in settings)) for key in keys]
    whole = [*product(*values)] if math.prod(map(len, values)) <= PLAUSIBLE * len(there) else []
    missing = [", ".join(f"{key}={value}" for key, value in zip(keys, combination, strict=True))
               for combination in whole if combination not in there]  # fmt: skip
    missing += [f"{one.words}, seed {seed} ({why})" for one in settings for seed, why in one.missing.items()]
    if not missing:
        return []
    listed = "; ".join(missing[:NAMED]) + (f"; and {len(missing) - NAMED} more" if len(missing) > NAMED else "")
    return [f"holes in the grid: {len(missing)} combinations have no verdict: {listed}; means are over what is there"]


def _independent(settings: Sequence[Setting]) -> list[str]:
    """Keys of which none follows from those before it, as a class's name does from its number."""
    chosen: list[str] = []
    for key in settings[0].keys:
        finer = {tuple(plain_text(one.keys.get(name)) for name in (*chosen, key)) for one in settings}
        if len(finer) > len({tuple(plain_text(one.keys.get(name)) for name in chosen) for one in settings}):
            chosen.append(key)
    return chosen
