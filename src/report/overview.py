"""A page over many results, as a sweep leaves them: one row per job, what differs between them, and how each ended."""

import os
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from src.core.estimate import Estimate
from src.core.files import write_atomically
from src.core.result import FILE, Figure, Result, Table, read_table, read_whole
from src.report.cells import Link, length
from src.report.page import render
from src.report.screen import PAGE
from src.report.words import flat, pretty

SETTINGS = 6  # columns for what differs between the jobs
FIGURES = 6
BARS = 60  # jobs that a figure can hold
CURVES = "training"  # the table of a job's learning curves
# where and how a job was run, which decides nothing
RUN_BY = ("name", "label", "outputs", "device", "threads", "workers", "jobs_at_once", "resume_every")


def write_overview(folders: Iterable[Path], path: Path) -> Path:
    """Write a page over the results in ``folders`` to ``path`` and return it.

    Args:
        folders: of jobs, in the order of the rows; one without a readable result is listed as such. All of a sweep:
            ``[folder for folder, _ in src.core.result.scan(root)]``.
        path: the HTML file; links to the jobs' pages are relative to it, so the whole tree can be moved.
    """
    write_atomically(path, render(overview(folders, path)))
    return path


def overview(folders: Iterable[Path], path: Path) -> Result:
    """The table and figures of :func:`write_overview` as a result of its own.

    The table ``jobs`` has per job its name (a link to its page), the values of its ``row``, the settings by which the
    jobs differ, how it ended, and its metrics with their intervals. A job that failed, or left nothing, keeps its row.
    """
    folders = list(folders)
    jobs = [_read(folder) for folder in folders]
    names = _names(folders, jobs)
    flats = [flat(job.get("config", {})) for job in jobs]
    row_columns = _row_columns(jobs, flats)
    metrics = list(dict.fromkeys(name for job in jobs for name in job["metrics"]))
    units = {name: unit for job in jobs for name, unit in job.get("units", {}).items()}
    settings = _settings(flats, row_columns)

    table: Table = {"job": [Link(name, _target(folder, path)) for folder, name in zip(folders, names, strict=True)]}
    table |= row_columns
    for key in settings:
        table.setdefault(pretty(key), _alike([config.get(key) for config in flats]))
    table["outcome"] = [_outcome(job) for job in jobs]
    for name in metrics:
        for column, part in ((name, "value"), (f"{name}_low", "low"), (f"{name}_high", "high")):
            table[column] = [job["metrics"].get(name, {}).get(part) for job in jobs]
    judged = [outcome in ("success", "no success") for outcome in table["outcome"]]
    if not all(judged):
        notes = [job.get("error") or job.get("verdict", "") for job in jobs]
        table["note"] = ["" if plain else note for plain, note in zip(judged, notes, strict=True)]
    outcomes = Counter(table["outcome"])
    result = Result("overview", _title(jobs, path), units=units, tables={"jobs": table}, screen=["jobs"])
    counts = ", ".join(f"{outcome}: {count}" for outcome, count in outcomes.most_common())
    result.verdict = f"{len(jobs)} job{'s' if len(jobs) != 1 else ''} ({counts})" if jobs else "no jobs"
    result.metrics = {outcome.capitalize(): Estimate(count) for outcome, count in outcomes.most_common()}
    result.captions = {
        "jobs": "One row per job; brackets are the intervals of each job. Click a job for its page, or for its result "
        "where it has none."
    }
    events = Counter(event for job in jobs for event in dict.fromkeys(job.get("events", ())))
    result.events = [f"{event} ({count} of {len(jobs)} jobs)" for event, count in events.items()]
    if len(jobs) <= BARS:
        bounded = [name for name in metrics if any(value is not None for value in table[f"{name}_low"])]
        result.figures = [
            Figure("bars", "jobs", pretty(name), "One bar per job.", x="job", y=name) for name in bounded[:FIGURES]
        ]
    return result


def curves_of(folders: Iterable[Path]) -> Table:
    """The learning curves of all jobs as one table, with the job's name as in :func:`overview` in front.

    A job that has none is left out; a column that only some jobs have is None in the others.
    """
    import pyarrow as pa

    folders = list(folders)
    jobs = [_read(folder) for folder in folders]
    tables = []
    for folder, name, job in zip(folders, _names(folders, jobs), jobs, strict=True):
        curves = read_table(folder, CURVES, job)
        if curves is not None:
            tables.append(pa.table({"job": pa.array([name] * length(curves), pa.string()), **curves}))
    table: Table = pa.concat_tables(tables, promote_options="permissive").to_pydict() if tables else {}
    return table


def _row_columns(jobs: list[dict[str, Any]], settings: list[dict[str, Any]]) -> Table:
    """The columns of the jobs' rows; what the overview says of every job itself is not overruled.

    A job that failed has no row: what its settings say under the same name stands there, if they agree elsewhere.
    """
    taken = {"job", "outcome", "note"}
    table: Table = {}
    for key in dict.fromkeys(key for job in jobs for key in job.get("row", {}) if key not in taken):
        pairs = [(job["row"].get(key) if job.get("row") else None, config.get(key), bool(job.get("row")))
                 for job, config in zip(jobs, settings, strict=True)]  # fmt: skip
        agree = all(str(value) == str(setting) for value, setting, has_row in pairs if has_row)
        table[key] = _alike([value if has_row or not agree else setting for value, setting, has_row in pairs])
    return table


def _alike(values: list[Any]) -> list[Any]:
    """All as text where text and numbers meet, as in ``baseline, 7``, or one is too large for a column of numbers."""
    if not any(isinstance(value, str) or (isinstance(value, int) and abs(value) >= 2**63) for value in values):
        return values
    return [value if value is None or isinstance(value, list) else str(value) for value in values]


def _read(folder: Path) -> dict[str, Any]:
    try:
        job = read_whole(folder)
    except (OSError, ValueError) as error:
        missing = isinstance(error, FileNotFoundError)
        reason = "no result (not finished, or killed)" if missing else str(error)
        return {"status": "failed", "error": reason, "metrics": {}, "name": folder.name}
    return {"metrics": {}, "name": folder.name, **job}


def _outcome(job: Mapping[str, Any]) -> str:
    status = str(job.get("status", "ok"))
    return status if status != "ok" else job.get("verdict_kind") or "finished"


def _names(folders: list[Path], jobs: list[dict[str, Any]]) -> list[str]:
    """The last parts of the jobs' names, or of their folders, whichever tells all of them apart."""
    last = [str(job["name"]).rsplit("/", 1)[-1] for job in jobs]
    places = [str(folder) for folder in folders]
    candidates = (last, [folder.name for folder in folders], places)
    return next((names for names in candidates if len(set(names)) == len(jobs)), places)


def _title(jobs: list[dict[str, Any]], path: Path) -> str:
    names = {str(job["name"]).rsplit("/", 1)[0] for job in jobs if "/" in str(job["name"])}
    return names.pop() if len(names) == 1 else path.parent.name


def _target(folder: Path, path: Path) -> str:
    file = next((file for file in (PAGE, FILE) if (folder / file).exists()), "")
    relative = os.path.relpath(folder / file, path.parent).replace(os.sep, "/")
    return "./" + quote(relative)  # the dot keeps a folder called `javascript:` a folder


def _settings(configs: list[dict[str, Any]], row_columns: Table) -> list[str]:
    """The keys whose values differ between the jobs, the outermost first; the same values are not told twice."""
    flats = [config for config in configs if config]
    every = dict.fromkeys(key for config in flats for key in config if key not in RUN_BY)
    known = [
        [str(value) for value, config in zip(column, configs, strict=True) if config] for column in row_columns.values()
    ]
    chosen = []
    for key in sorted(every, key=lambda key: key.count(".")):
        values = [str(config.get(key)) for config in flats]
        plain = all(config.get(key) is None or isinstance(config[key], (str, int, float)) for config in flats)
        if plain and len(set(values)) > 1 and values not in known:
            known.append(values)
            chosen.append(key)
    return chosen[:SETTINGS]
