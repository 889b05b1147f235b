"""Several seeds of one setting: the mean of each metric with its interval over seeds."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from statistics import mean, stdev
from typing import Any

from src.configuration import PROVENANCE
from src.result import Result, read_json, table_of
from src.store import digest_of
from src.sweep.jobs import setting

SEEDS = ("seed", "data_seed")  # what the jobs of one setting differ by


def add_over_seeds(
    result: Result, found: Sequence[tuple[Mapping[str, Any], Mapping[str, Any]]], metrics: Sequence[str]
) -> None:
    """A table with one row per setting and metric.

    Args:
        found: (configuration, result as read) of every job that ended well.
        metrics: names; one that no job has is left out.
    """
    groups: dict[str, list[tuple[Mapping[str, Any], Mapping[str, Any]]]] = {}
    for config, plain in found:
        groups.setdefault(digest_of(setting(config, SEEDS)), []).append((config, plain))
    rows = []
    varied = _varied([jobs[0][0] for jobs in groups.values()])
    for jobs in groups.values():
        for name in metrics:
            values = [job["metrics"][name]["value"] for _, job in jobs if name in job["metrics"]]
            values = [value for value in values if value is not None]
            if values:
                low, high = interval(values)
                told = {key: jobs[0][0].get(key) for key in varied}
                row = {**jobs[0][1].get("row", {}), **told, "metric": name, "value": mean(values)}
                rows.append(row | {"value_low": low, "value_high": high, "seeds": len(values)})
    if not rows:
        return
    names = list(dict.fromkeys(key for row in rows for key in row))
    result.tables = {"over_seeds": table_of([{name: row.get(name) for name in names} for row in rows]), **result.tables}
    result.captions["over_seeds"] = (
        "Means over seeds with 95% intervals of Student's t over seeds, which hold what differs from training to "
        "training (a job's own interval is over images). Fractions as such. One seed has no interval. Jobs without a "
        "verdict are left out."
    )
    result.screen = ["over_seeds", *result.screen]


def _varied(configs: Sequence[Mapping[str, Any]]) -> list[str]:
    """Keys of plain values by which the settings differ."""
    keys = dict.fromkeys(key for config in configs for key in config if key not in (*SEEDS, *PROVENANCE))
    plain = [key for key in keys if not any(isinstance(config.get(key), Mapping | list) for config in configs)]
    return [key for key in plain if len({str(config.get(key)) for config in configs}) > 1]


def interval(values: Sequence[float]) -> tuple[float, float]:
    """95% interval of the mean of independent values, NaN for fewer than two."""
    from scipy.stats import t

    if len(values) < 2:
        return math.nan, math.nan
    half = float(t.ppf(0.975, len(values) - 1)) * stdev(values) / math.sqrt(len(values))
    return mean(values) - half, mean(values) + half


def read_jobs(folders: Sequence[Any], file: str) -> list[tuple[Mapping[str, Any], Mapping[str, Any]]]:
    """Configuration and result of the jobs that ended well with a verdict."""
    found: list[tuple[Mapping[str, Any], Mapping[str, Any]]] = []
    for folder in folders:
        try:
            plain = read_json(folder / file)
        except (OSError, ValueError):
            continue
        if plain.get("status") == "ok" and plain.get("verdict_kind") != "no verdict":
            found.append((plain.get("config", {}), plain))
    return found
