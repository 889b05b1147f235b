"""Several seeds of one setting: the mean of each metric with its interval over seeds."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from statistics import mean, stdev
from typing import Any

from src.core.configuration import PROVENANCE, setting
from src.core.files import read_json
from src.core.result import Panel
from src.core.store import digest_of

SEEDS = ("seed", "data_seed")  # what the jobs of one setting differ by


def over_seeds(jobs: Sequence[tuple[Mapping[str, Any], Mapping[str, Any]]], metrics: Sequence[str]) -> Panel | None:
    """A row per setting and metric; nothing where no job has one of the metrics.

    Args:
        jobs: (configuration, result as read) of those that ended well.
        metrics: names; one that no job has is left out.
    """
    groups: dict[str, list[tuple[Mapping[str, Any], Mapping[str, Any]]]] = {}
    for config, plain in jobs:
        groups.setdefault(digest_of(setting(config, SEEDS)), []).append((config, plain))
    rows = []
    told_apart = _told([group[0][0] for group in groups.values()])
    for group, settings in zip(groups.values(), told_apart, strict=True):
        for name in metrics:
            values = [job["metrics"][name]["value"] for _, job in group if name in job["metrics"]]
            values = [value for value in values if value is not None]
            if values:
                low, high = interval(values)
                row = {**group[0][1].get("row", {}), **settings, "metric": name, "value": mean(values)}
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


def _told(configs: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """What tells settings apart: for each of them the keys by which they differ, dotted where they stand in groups.

    All keys outside of groups. Of those within, where the choice of another file changes dozens, a key is told where
    it tells settings apart that nothing before it does: names come first, then what is least nested.
    """
    flat = [dict(_leaves(config)) for config in configs]
    keys = [key for key in dict.fromkeys(key for own in flat for key in own) if _differs(key, flat)]
    kept: list[str] = []
    apart: list[tuple[str, ...]] = [() for _ in flat]
    for key in sorted(keys, key=lambda key: ("." in key, not key.endswith(".name"), key.count("."))):
        finer = [(*before, str(own.get(key))) for before, own in zip(apart, flat, strict=True)]
        if "." not in key or len(set(finer)) > len(set(apart)):
            kept.append(key)
            apart = finer
    columns = {key: _of_one_kind([own.get(key) for own in flat]) for key in kept}
    return [{key: column[number] for key, column in columns.items()} for number in range(len(flat))]


def _of_one_kind(values: Sequence[Any]) -> list[Any]:
    """As they are, or in words: a column of a table holds values of one kind."""
    kinds = {float if type(value) is int else type(value) for value in values if value is not None}
    return list(values) if len(kinds) <= 1 else [None if value is None else str(value) for value in values]


def _differs(key: str, flat: Sequence[Mapping[str, Any]]) -> bool:
    return len({str(own.get(key)) for own in flat}) > 1


def _leaves(config: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """(dotted key, value) of all that belongs to a setting; a list is told in words."""
    for name, value in config.items():
        if name in SEEDS or (not prefix and name in PROVENANCE):
            continue
        if isinstance(value, Mapping):
            yield from _leaves(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", str(value) if isinstance(value, list) else value


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
