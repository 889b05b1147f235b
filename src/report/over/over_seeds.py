"""Several seeds of one setting: the mean of each metric with its interval over seeds, and what is missing."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from src.core.configuration import PROVENANCE, setting
from src.core.estimate import Estimate
from src.core.result import Figure, Panel, read_table, read_whole, rows
from src.core.store import digest_of
from src.report.words import leaves, plain_text, pretty, unit_of

SEEDS = ("seed", "data_seed")  # what the jobs of one setting differ by
DRAWN = 2  # metrics that are drawn for every setting
METRICS = 8  # that a table shows where none are asked for
NAME = 16  # letters of a name that a row gives to a setting
CELLS = 40  # settings that a heatmap can hold
JUDGED = ("success", "no success")
Job = tuple[Mapping[str, Any], Mapping[str, Any]]  # configuration, result as read


@dataclass(frozen=True)
class Setting:
    """The jobs that differ in nothing but their seeds.

    Attributes:
        keys: by which it is told from the other settings. about: what else the jobs' rows say of it, and not of all.
        jobs: that ended with a verdict, by seed. missing: seed -> why there is none.
    """

    keys: Mapping[str, Any]
    about: Mapping[str, Any]
    jobs: Mapping[str, Mapping[str, Any]]
    missing: Mapping[str, str]

    @property
    def words(self) -> str:
        """Its keys' values, and names that its rows give it: ``0, disc``."""
        names = [value for value in self.about.values() if isinstance(value, str) and len(value) <= NAME]
        values = dict.fromkeys(plain_text(value) for value in (*self.keys.values(), *names))
        return ", ".join(values) or "all"


def settings_of(jobs: Sequence[Job]) -> list[Setting]:
    """The jobs by what they share; each setting is expected to have every seed that another one has."""
    groups: dict[str, list[Job]] = {}
    for config, plain in jobs:
        if config:
            groups.setdefault(digest_of(setting(config, SEEDS)), []).append((config, plain))
    several = len({str(config.get("data_seed")) for config, _ in jobs if config}) > 1

    def seed_of(config: Mapping[str, Any]) -> str:
        return "/".join(str(config[key]) for key in SEEDS[: 1 + several] if key in config) or "0"

    seeds = dict.fromkeys(seed_of(config) for group in groups.values() for config, _ in group)
    keys = _settings([group[0][0] for group in groups.values()])
    in_rows = _of_rows(list(groups.values()))
    if len({frozenset(group[0][0]) for group in groups.values()}) > 1:  # kinds, which have keys of their own
        for key in in_rows[0]:
            names = [row.get(key) for row in in_rows]
            if len(set(names)) == len(names) and all(name and isinstance(name, str) for name in names):
                keys, in_rows = [{key: name} for name in names], [{} for _ in names]
                break
    settings_read = []
    for group, chosen, row in zip(groups.values(), keys, in_rows, strict=True):
        ended = {seed_of(config): plain for config, plain in group}
        missing = {seed: _why_missing(ended.get(seed)) for seed in seeds}
        settings_read.append(
            Setting(
                chosen,
                {key: value for key, value in row.items() if key not in chosen},
                {seed: plain for seed, plain in ended.items() if not missing[seed]},
                {seed: why for seed, why in missing.items() if why},
            )
        )
    return settings_read


def _why_missing(plain: Mapping[str, Any] | None) -> str:
    if plain is None:
        return "not run"
    status = plain.get("status", "not finished")
    return status if status != "ok" else "no verdict" if plain.get("verdict_kind") == "no verdict" else ""


def _of_rows(groups: Sequence[Sequence[Job]]) -> list[dict[str, Any]]:
    """What the rows of a setting's jobs agree in and those of the settings differ in."""
    agreed = []
    for group in groups:
        each = [plain["row"] for _, plain in group if plain.get("row")]
        agreed.append({key: value for key, value in (each[0] if each else {}).items()
                       if not isinstance(value, list) and all(row.get(key) == value for row in each)})  # fmt: skip
    known = [row for row in agreed if row]
    different = {key for key in dict.fromkeys(key for row in known for key in row)
                 if len({plain_text(row.get(key)) for row in known}) > 1}  # fmt: skip
    return [{key: value for key, value in row.items() if key in different} for row in agreed]


def over_seeds(settings: Sequence[Setting], metrics: Sequence[str] = ()) -> Panel | None:
    """A row per setting; None where no setting has two seeds with a verdict, or none of the metrics is there.

    Args:
        metrics: to be shown; by default the first that the jobs have.
    """
    ended = [plain for one in settings for plain in one.jobs.values()]
    names = list(dict.fromkeys(name for plain in ended for name in plain["metrics"]))
    names = [name for name in metrics if name in names] if metrics else names[:METRICS]
    if not names or not (metrics or any(len(one.jobs) > 1 for one in settings)):
        return None
    judged = any(plain.get("verdict_kind") in JUDGED for plain in ended)
    incomplete = any(one.missing for one in settings)
    table = []
    for one in settings:
        row: dict[str, Any] = dict(one.keys) if len(one.keys) < 2 and not one.about else {"setting": one.words}
        for number, name in enumerate(names):
            values = _values(one, name)
            low, high = interval(values)
            if all(unit_of(name, plain["units"]) == "%" for plain in one.jobs.values()):
                low, high = max(0.0, low), min(1.0, high)  # a fraction is no more and no less
            row |= {name: mean(values) if values else math.nan, f"{name}_low": low, f"{name}_high": high}
            if judged and not number:
                kinds = [plain.get("verdict_kind") for plain in one.jobs.values()]
                row["success"] = f"{kinds.count('success')} of {len(kinds)}"
        row["seeds"] = len(one.jobs)
        if incomplete:
            row["missing"] = "; ".join(f"seed {seed}: {why}" for seed, why in one.missing.items())
        table.append({**row, **one.keys, **one.about})
    columns = list(dict.fromkeys(key for row in table for key in row))
    values_alike = {key: _of_one_kind([row.get(key) for row in table]) for key in columns}
    first = next(iter(columns))
    figures = [
        Figure("bars", "over_seeds", f"{pretty(name)}, mean over seeds", "With intervals over seeds.", x=first, y=name)
        for name in (names[:DRAWN] if len(settings) in range(2, CELLS) else ())
    ]
    units = {name: unit for plain in ended for name, unit in plain.get("units", {}).items() if name in columns}
    units |= {name: unit for name in names for plain in ended if (unit := unit_of(name, plain.get("units", {})))}
    caption = (
        "Means over seeds with 95% intervals of Student's t over seeds, which hold what differs from training to "
        "training (a job's own interval is over images). One seed has no interval. Jobs that failed, or whose network "
        "did not train, are left out"
        + (" and named, so that a mean over fewer seeds is seen as such." if incomplete else ".")
        + (" Success: in how many of the seeds." if judged else "")
    )
    return Panel("", "over_seeds", values_alike, caption, units, figures)


def by_seed(settings: Sequence[Setting], metric: str) -> Panel | None:
    """A metric of every setting and seed as a heatmap; None where there is but one setting or seed."""
    seeds = list(dict.fromkeys(seed for one in settings for seed in one.jobs))
    if len(seeds) < 2 or not 1 < len(settings) <= CELLS:
        return None
    places = [(one, seed) for one in settings for seed in seeds]
    values = [one.jobs.get(seed, {}).get("metrics", {}).get(metric, {}).get("value") for one, seed in places]
    columns = {"setting": [one.words for one, _ in places], "seed": [seed for _, seed in places], metric: values}
    units = {name: unit for one in settings for plain in one.jobs.values() for name, unit in plain["units"].items()}
    unit = unit_of(metric, units)
    kept = [number for number, value in enumerate(values) if value is not None]
    columns = {name: [column[number] for number in kept] for name, column in columns.items()}
    keys = ", ".join(pretty(key) for key in settings[0].keys)
    caption = f"One field per job; a setting is told by: {keys}. An empty field: no result with a verdict."
    figure = Figure("heatmap", "by_seed", f"{pretty(metric)}: every setting and seed", caption,
                    x="seed", y="setting", value=metric, percent=unit == "%")  # fmt: skip
    return Panel("Every setting and seed", "by_seed", columns, units={metric: unit} if unit else {}, figures=[figure])


def mean_of_all(settings: Sequence[Setting], metric: str) -> dict[str, Estimate]:
    """A metric's mean over all settings, its interval over seeds; nothing where jobs are missing or are not judged."""
    seeds = list(dict.fromkeys(seed for one in settings for seed in one.jobs))
    if len(seeds) < 2 or any(one.missing for one in settings):
        return {}
    each = [[one.jobs[seed]["metrics"].get(metric, {}).get("value") for one in settings] for seed in seeds]
    if any(value is None for values in each for value in values):
        return {}
    means = [mean(values) for values in each]
    if not all(plain.get("verdict_kind") in JUDGED for one in settings for plain in one.jobs.values()):
        return {}  # of settings that are compared with each other a mean says nothing
    return {metric: Estimate(mean(means), *interval(means), len(seeds), "seeds, mean of all settings")}


def pivoted(settings: Sequence[Setting], folders: Mapping[int, Path], asked: Mapping[str, str]) -> Panel | None:
    """The means over seeds of one column of a table that every job has, side by side for each of its rows.

    Args:
        folders: ``id`` of a job's result as read -> its folder.
        asked: ``table``; ``by``, the column that names its rows; ``value``, the column that is averaged.
    """
    columns: dict[str, None] = {}
    table, units = [], {}
    for one in [*settings, None]:
        each = one.jobs.values() if one else [plain for some in settings for plain in some.jobs.values()]
        values: dict[str, list[float]] = {}
        for plain in each:
            for row in _rows_of(folders[id(plain)], asked, plain):
                values.setdefault(plain_text(row[asked["by"]]), []).append(row[asked["value"]])
                units[asked["value"]] = unit_of(asked["value"], plain["table_units"].get(asked["table"], {}))
        columns |= dict.fromkeys(values)
        table.append((one.words if one else "mean", values))
    if not columns:
        return None
    means = [{"setting": words, **{name: mean(values[name]) if name in values else math.nan for name in columns}}
             for words, values in table]  # fmt: skip
    unit = units.get(asked["value"], "")
    caption = f"{pretty(asked['value'])} of each {pretty(asked['by']).lower()}, mean over seeds; last: over all jobs."
    return Panel("", f"{asked['value']}_by_{asked['by']}", means, caption, dict.fromkeys(columns, unit) if unit else {})


def _rows_of(folder: Path, asked: Mapping[str, str], plain: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    table = read_table(folder, asked["table"], plain)
    return iter(rows(table) if table and {asked["by"], asked["value"]} <= table.keys() else ())


def _values(one: Setting, name: str) -> list[float]:
    values = [plain["metrics"][name]["value"] for plain in one.jobs.values() if name in plain["metrics"]]
    return [value for value in values if value is not None]


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


def read_job(folder: Path) -> dict[str, Any]:
    """The result as it stands in its file; of a job that left none, or a damaged one, how it ended and why."""
    try:
        return {"metrics": {}, "units": {}, "name": folder.name, **read_whole(folder)}
    except FileNotFoundError:
        status, reason = "not finished", "no result yet: not started, under way, or killed"
    except (OSError, ValueError) as error:
        status, reason = "failed", str(error)
    return {"status": status, "error": reason, "metrics": {}, "units": {}, "name": folder.name}


def ended_well(plain: Mapping[str, Any]) -> bool:
    """Whether a job came to a verdict."""
    return not _why_missing(plain)
