"""What the command line says of many jobs: means over seeds, the best setting, and how two of them differ."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import mean
from typing import Any

import pandas as pd

from src.core.errors import UserError, suggestion
from src.core.result import Panel, Table, read_whole, rows, table_of
from src.core.running import PROVENANCE
from src.report.frames import Results, load
from src.report.over.over_seeds import SEEDS, interval
from src.report.words import flat, plain_text

MOST = 4  # metrics that are shown where none is asked for
OVER_SEEDS = "Means over seeds with 95% intervals of Student's t over seeds. Jobs without a verdict are left out."
OWN = "One seed each: the intervals are the jobs' own, over what stands in the column `of` of the frame."


def holes_of(folder: Path) -> str:
    """What a table over the jobs below ``folder`` has to say of those that are missing, or nothing."""
    try:
        load(folder)
    except UserError as error:
        if error.key != "holes":
            raise
        return str(error)
    return ""


def metrics_of(results: Results, asked: Sequence[str]) -> list[str]:
    """The metrics that are asked for; without any the first with an interval, or the first of all.

    Raises:
        UserError: one of them is none.
    """
    measured = results[results["metric"].notna()]
    every = list(dict.fromkeys(measured["metric"]))
    for name in asked:
        if name not in every:
            raise UserError(f"--metric {name}: no such metric; {suggestion(name, every)}", "metric")
    bounded = set(measured.loc[measured["low"].notna(), "metric"])
    return list(asked) or ([name for name in every if name in bounded] or every)[:MOST]


def over_settings(results: Results, metrics: Sequence[str]) -> Panel:
    """A row per setting of the swept keys but for the seeds: each metric's mean with its interval, and its jobs."""
    judged = results[(results["status"] == "ok") & (results["verdict"] != "no verdict")]
    keys = [key for key in results.swept if key not in SEEDS]
    if results["experiment"].nunique() > 1:
        keys = ["experiment", *keys]
    words = [judged[key].map(plain_text) for key in keys]
    groups = [jobs for _, jobs in judged.groupby(words, sort=False)] if keys else [judged]
    several = any(jobs["folder"].nunique() > 1 for jobs in groups)
    records = [_setting(jobs, keys, metrics, several) for jobs in groups if len(jobs)]
    units = dict(zip(results["metric"], results["unit"], strict=True))
    shown = {name: units[name] for name in metrics if any(name in record for record in records)}
    return Panel("", "settings", table_of(records), OVER_SEEDS if several else OWN, shown)


def _setting(jobs: pd.DataFrame, keys: Sequence[str], metrics: Sequence[str], several: bool) -> dict[str, Any]:
    record: dict[str, Any] = {key: jobs[key].iloc[0] for key in keys}
    for name in metrics:
        of_metric = jobs[jobs["metric"] == name].dropna(subset=["value"])
        values = list(of_metric["value"])
        low, high = interval(values) if several or not values else of_metric[["low", "high"]].iloc[0]
        record |= {name: mean(values) if values else None, f"{name}_low": low, f"{name}_high": high}
    return record | {"jobs": jobs["folder"].nunique()}


def best(panel: Panel, metric: str, least: bool) -> Table:
    """The settings from the best to the worst; those that have no such number come last."""
    worst = math.inf if least else -math.inf
    table: Any = panel.rows
    ordered = sorted(rows(table), key=lambda row: worst if row[metric] is None else row[metric], reverse=not least)
    return table_of(ordered)


def differences(first: Results, second: Results, asked: Sequence[str]) -> tuple[Table, Panel]:
    """What differs between two jobs or two sweeps.

    Returns:
        The settings that differ, with all values that each has; and the metrics that differ, of the jobs that are alike
        in all keys that both sweep over, in pairs.

    Raises:
        UserError: they have no metric in common.
    """
    settings = _differing(_values(first), _values(second))
    common = [name for name in dict.fromkeys(first["metric"].dropna()) if name in set(second["metric"])]
    if not common:
        raise UserError("diff: the two have no metric in common; name two jobs or sweeps of one kind")
    for name in asked:
        if name not in common:
            raise UserError(f"--metric {name}: not a metric of both; {suggestion(name, common)}", "metric")
    keys = [key for key in first.swept if key in second.swept]
    sides = [_by_setting(results, keys) for results in (first, second)]
    averages, units = [], dict(zip(first["metric"], first["unit"], strict=True))
    for name in asked or common:
        pairs = [(sides[0][key], sides[1][key]) for key in sides[0] if key[0] == name and key in sides[1]]
        gaps = [b - a for a, b in pairs]
        if not any(gaps) and not asked:
            continue
        low, high = interval(gaps) if gaps else (math.nan, math.nan)
        one, two = (mean(side) if side else None for side in zip(*pairs, strict=True)) if pairs else (None, None)
        unit = units[name]
        scale = 100.0 if unit in ("%", "points") else 1.0  # one column holds metrics of several units
        row = {"metric": name, "unit": unit, "A": one, "B": two, "difference": mean(gaps) if gaps else None,
               "difference_low": low, "difference_high": high}  # fmt: skip
        numbers = {key: value * scale if isinstance(value, float) else value for key, value in row.items()}
        averages.append({**numbers, "pairs": len(pairs)})
    said = (
        "Means over jobs that are alike in all keys that both sweep over; 95% interval of Student's t over the pairs."
    )
    return settings, Panel("", "metrics", table_of(averages), said)


def _values(results: Results) -> dict[str, set[str]]:
    """Dotted key -> its values in all jobs, in words."""
    values: dict[str, set[str]] = {}
    for folder in results["folder"].unique():
        plain = read_whole(Path(folder))
        decided = {key: value for key, value in plain.get("config", {}).items() if key not in PROVENANCE}
        for key, value in {**flat(decided), "version of the task": plain.get("version")}.items():
            values.setdefault(key, set()).add(plain_text(value))
    return values


def _differing(first: Mapping[str, set[str]], second: Mapping[str, set[str]]) -> Table:
    keys = [key for key in {**first, **second} if first.get(key) != second.get(key)]
    return {
        "setting": keys,
        **{name: [plain_text(sorted(side[key])) if key in side else None for key in keys]
           for name, side in (("A", first), ("B", second))},
    }  # fmt: skip


def _by_setting(results: Results, keys: Sequence[str]) -> dict[tuple[str, ...], float]:
    """(metric, values of the keys) -> mean over the jobs."""
    groups: dict[tuple[str, ...], list[float]] = {}
    for row in pd.DataFrame(results.dropna(subset=["metric", "value"])).to_dict("records"):
        groups.setdefault((row["metric"], *(plain_text(row[key]) for key in keys)), []).append(row["value"])
    return {key: mean(values) for key, values in groups.items()}
