"""Several seeds of one setting: the mean of each metric with its interval over seeds."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from src.core.configuration import PROVENANCE, setting
from src.core.result import Panel, read_whole
from src.core.store import digest_of
from src.report.words import leaves

SEEDS = ("seed", "data_seed")  # what the jobs of one setting differ by
Job = tuple[Mapping[str, Any], Mapping[str, Any]]  # configuration, result as read


def over_seeds(jobs: Sequence[Job], metrics: Sequence[str]) -> Panel | None:
    """A row per setting and metric; nothing where none of the jobs, which ended well, has one of the metrics."""
    groups: dict[str, list[Job]] = {}
    for config, plain in jobs:
        groups.setdefault(digest_of(setting(config, SEEDS)), []).append((config, plain))
    rows = []
    settings = _settings([group[0][0] for group in groups.values()])
    for group, keys in zip(groups.values(), settings, strict=True):
        for name in metrics:
            values = [job["metrics"][name]["value"] for _, job in group if name in job["metrics"]]
            values = [value for value in values if value is not None]
            if values:
                low, high = interval(values)
                row = {**group[0][1].get("row", {}), **keys, "metric": name, "value": mean(values)}
                rows.append(row | {"value_low": low, "value_high": high, "seeds": len(values)})
    if not rows:
        return None
    names = list(dict.fromkeys(key for row in rows for key in row))
    units = {name: unit for _, plain in jobs for name, unit in plain.get("units", {}).items() if name in names}
    caption = (
        "Means over seeds with 95% intervals of Student's t over seeds, which hold what differs from training to "
        "training (a job's own interval is over images). Fractions as such. One seed has no interval. Jobs without a "
        "verdict are left out. Settings are told by the keys that they differ by; where the choice of another file "
        "changes many, by as few as it takes."
    )
    return Panel("", "over_seeds", [{name: row.get(name) for name in names} for row in rows], caption, units)


def _settings(configs: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Of each setting the keys by which they differ, dotted where they stand in groups.

    All keys outside of groups. Of those within, where the choice of another file changes dozens, a key stands where
    it separates settings that nothing before it does: names come first, then what is least nested.
    """
    paths = [_paths(config) for config in configs]
    kept: list[tuple[str, ...]] = []
    apart: list[tuple[str, ...]] = [() for _ in paths]
    every = dict.fromkeys(path for values in paths for path in values)
    for path in sorted(every, key=lambda path: (len(path) > 1, path[-1] != "name", len(path))):
        words = [str(values.get(path)) for values in paths]
        finer = [(*before, word) for before, word in zip(apart, words, strict=True)]
        if len(set(words)) > 1 and (len(path) == 1 or len(set(finer)) > len(set(apart))):
            kept.append(path)
            apart = finer
    columns = {".".join(path): _of_one_kind([values.get(path) for values in paths]) for path in kept}
    return [{key: column[number] for key, column in columns.items()} for number in range(len(paths))]


def _paths(config: Mapping[str, Any]) -> dict[tuple[str, ...], Any]:
    """Path of keys -> value of all that belongs to a setting; a list is told in words."""
    return {
        path: str(value) if isinstance(value, list) else value
        for path, value in leaves(config)
        if path[-1] not in SEEDS and path[0] not in PROVENANCE and not isinstance(value, Mapping)
    }


def _of_one_kind(values: Sequence[Any]) -> list[Any]:
    """As they are, or in words: a column of a table holds values of one kind."""
    kinds = {float if type(value) is int else type(value) for value in values if value is not None}
    return list(values) if len(kinds) <= 1 else [None if value is None else str(value) for value in values]


def interval(values: Sequence[float]) -> tuple[float, float]:
    """95% interval of the mean of independent values, NaN for fewer than two."""
    from scipy.stats import t

    if len(values) < 2:
        return math.nan, math.nan
    half = float(t.ppf(0.975, len(values) - 1)) * stdev(values) / math.sqrt(len(values))
    return mean(values) - half, mean(values) + half


def read_jobs(folders: Sequence[Path]) -> list[Job]:
    """The jobs that ended well with a verdict."""
    jobs = ((job.get("config", {}), job) for job in map(read_job, folders))
    return [job for job in jobs if job[1].get("status") == "ok" and job[1].get("verdict_kind") != "no verdict"]


def read_job(folder: Path) -> Mapping[str, Any]:
    """The result as it stands in its file, empty where a job left none or one that is damaged."""
    try:
        return read_whole(folder)
    except (OSError, ValueError):
        return {}
