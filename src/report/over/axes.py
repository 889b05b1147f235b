"""What was swept: which values of which keys, what is missing, and how much each key matters."""

import math
from collections.abc import Sequence
from itertools import product
from statistics import fmean
from typing import Any

from src.core.result import Figure, Panel, Result
from src.report.over.over_seeds import Setting
from src.report.words import plain_text, pretty

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
    if len(axes) > 1:
        shares: list[dict[str, Any]] = []
        for key, values in axes.items():
            by_value = [(plain_text(keys.get(key)), value) for keys, value in points]
            shares.append({"axis": pretty(key), "share": share_of_variance(by_value), "values": len(values)})
        shares.sort(key=lambda row: -row["share"])
        caption = (
            f"Share of the variance of {pretty(metric)} that lies between the values of one key: 100 where "
            "it decides alone, and by chance about its number of values minus one over the number of jobs minus one "
            f"({len(points)} here). Keys that were changed together share what they explain."
        )
        figure = Figure("bars", "axes", f"What {pretty(metric)} depends on", x="axis", y="share", percent=True)
        result.add(Panel("Axes of the sweep", "axes", shares, caption, {"share": "%"}, [figure]))
    numeric = [key for key in axes if key != "seed" and all(_is_number(keys.get(key)) for keys, _ in points)]
    if len(numeric) >= PARALLEL:
        rows = [{**{key: float(keys[key]) for key in numeric}, metric: value} for keys, value in points]
        figure = Figure("parallel", "parallel", "All jobs over the numeric axes",
                        "A line per job, coloured by the last axis.", y=metric)  # fmt: skip
        units = {metric: unit} if (unit := result.units.get(metric, "")) else {}
        result.add(Panel("Axes of the sweep", "parallel", rows, "", units, [figure]))


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


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
