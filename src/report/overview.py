"""A page over many results, as a sweep leaves them: one row per job, what differs between them, and how each ended."""

import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from src.core.configuration import PROVENANCE, first_comment
from src.core.estimate import Estimate
from src.core.files import write_atomically
from src.core.paths import CONF
from src.core.result import FILE, Figure, Opening, Result, Table, read_table, rows
from src.report.cells import Link, length
from src.report.over.axes import add_axes
from src.report.over.over_seeds import by_seed, mean_of_all, over_seeds, read_job, settings_of
from src.report.page import render
from src.report.screen import PAGE
from src.report.words import estimated, flat, label, pretty, quantity, unit_of

SETTINGS = 6  # columns for what differs between the jobs
FIGURES = 6
JOBS = (
    "One row per job; brackets are the intervals of each job, over images. Click a job for its page, or for its result "
    "where it has none yet: python -m src.report with its folder makes it."
)
BARS = 60  # jobs that a figure can hold
FINISHED = "finished"  # the outcome of a job that judges nothing
CURVES = "training"  # the table of a job's learning curves
FIRST = 3  # metrics that stand before the settings, so that they are seen without scrolling
SAID = 4  # settings whose means the verdict can hold


def write_overview(folders: Iterable[Path], path: Path) -> Path:
    """Write a page over the results in ``folders`` to ``path`` and return it.

    Args:
        folders: of jobs, in the order of the rows; one without a readable result is listed as such. All of a sweep:
            ``[folder for folder, _ in src.core.result.scan(root)]``.
        path: the HTML file; links to the jobs' pages are relative to it, so the whole tree can be moved.
    """
    write_atomically(path, render(overview(folders, path)))
    return path


def overview(
    folders: Iterable[Path], path: Path, jobs: Sequence[dict[str, Any]] | None = None, metrics: Sequence[str] = ()
) -> Result:
    """The tables and figures of :func:`write_overview` as a result of its own.

    The table ``jobs`` has per job its name (a link to its page), how it ended, its deciding metrics with their
    intervals, the values of its ``row``, the settings by which the jobs differ, and all other metrics. A job that
    failed, or left nothing, keeps its row. Where jobs differ by their seeds, means over these come first.

    Args:
        jobs: their results as `read_job` reads them, where they are at hand and :func:`counted`.
        metrics: whose means over seeds are shown; by default the first ones of the jobs.
    """
    folders = list(folders)
    left_out: list[str] = []
    if jobs is None:
        folders, jobs, left_out = counted(folders, [read_job(folder) for folder in folders])
    names = _names(folders, jobs)
    flats = [flat(job.get("config", {})) for job in jobs]
    row_columns = _row_columns(jobs, flats)
    measured = list(dict.fromkeys(name for job in jobs for name in job["metrics"]))
    units = {name: unit for job in jobs for name, unit in job.get("units", {}).items()}
    settings = _settings(flats, row_columns)

    table: Table = {"job": [Link(name, target(folder, path)) for folder, name in zip(folders, names, strict=True)]}
    table["outcome"] = [outcome_of(job) for job in jobs]
    in_row = [name for name in measured if name in row_columns]
    deciding = [name for name in measured if name not in in_row][:FIRST]
    for name in deciding:
        table |= _measured(name, jobs)
    table |= row_columns
    for key in settings:
        table.setdefault(pretty(key), _alike([config.get(key) for config in flats]))
    for name in measured:
        if name not in deciding:
            table |= _measured(name, jobs)
    table["note"] = [job.get("error") or job.get("verdict", "") for job in jobs]
    outcomes = Counter(table["outcome"])
    result = Result("overview", _title(jobs, path), units=units, tables={"jobs": table}, screen=["jobs"])
    result.opening = _opening(result.name, jobs)
    _add_settings(result, jobs, metrics)
    counts = ", ".join(f"{outcome}: {count}" for outcome, count in outcomes.most_common())
    result.verdict = f"{len(jobs)} job{'s' if len(jobs) != 1 else ''} ({counts})" if jobs else "no jobs"
    result.verdict += _how_much(result, units)
    # that a job came to its end is no answer; how many helped, or failed, is
    result.metrics |= {
        outcome.capitalize(): Estimate(count) for outcome, count in outcomes.most_common() if outcome != FINISHED
    }
    events = Counter(event for job in jobs for event in dict.fromkeys(job.get("events", ())))
    result.events += left_out
    result.events += [f"{event} ({count} of {len(jobs)} jobs)" for event, count in events.most_common()]
    if len(jobs) <= BARS and "over_seeds" not in result.tables:
        bounded = [name for name in measured if any(value is not None for value in table[f"{name}_low"])]
        result.figures += [
            Figure("bars", "jobs", pretty(name), "One bar per job.", x="job", y=name) for name in bounded[:FIGURES]
        ]
    return result


def counted(folders: list[Path], jobs: list[dict[str, Any]]) -> tuple[list[Path], list[dict[str, Any]], list[str]]:
    """The jobs that count, with what is said of the others: copies of one job, and tiny ones beside whole ones."""
    said = []
    tiny = [bool(job.get("config", {}).get("tiny")) for job in jobs]
    kept = [number for number, job in enumerate(jobs) if not tiny[number] or all(tiny[i] or "config" not in jobs[i]
            for i in range(len(jobs)))]  # fmt: skip
    if len(kept) < len(jobs):
        said.append(f"{len(jobs) - len(kept)} jobs of debug=tiny are left out: their numbers mean nothing")
    first: dict[str, int] = {}
    for number in kept:
        first.setdefault(jobs[number].get("identity") or str(number), number)
    if len(first) < len(kept):
        said.append(f"{len(kept) - len(first)} jobs are left out: they are copies of others")
    chosen = list(first.values())
    return [folders[number] for number in chosen], [jobs[number] for number in chosen], said


def _measured(name: str, jobs: Sequence[Mapping[str, Any]]) -> Table:
    parts = ((name, "value"), (f"{name}_low", "low"), (f"{name}_high", "high"))
    return {column: [job["metrics"].get(name, {}).get(part) for job in jobs] for column, part in parts}


def _add_settings(result: Result, jobs: Sequence[dict[str, Any]], metrics: Sequence[str]) -> None:
    """What the sweep says of what was swept: means over seeds, every setting and seed, which axis matters."""
    read = [(job.get("config", {}), job) for job in jobs]
    settings = settings_of(read)
    panels = [over_seeds(settings, metrics)]
    first = next((name for job in jobs for name in job["metrics"]), "")
    if panels[0] is not None:
        panels.append(by_seed(settings, next(iter(metrics), first)))
    for panel in filter(None, panels):
        result.add(panel)
    if panels[0] is not None:
        result.screen = [panels[0].name, *result.screen]
        result.tables = {panels[0].name: result.tables[panels[0].name], **result.tables}
        result.metrics |= mean_of_all(settings, next(iter(metrics), first))
    result.captions["jobs"] = JOBS
    add_axes(result, settings, first)


def _how_much(result: Result, units: Mapping[str, str]) -> str:
    """What the first metric came to: its mean over all settings where they are judged, else that of each of a few."""

    def said(name: str, mean: Estimate) -> str:
        unit = unit_of(name, units)
        value, bounds = estimated(mean, unit)
        return f"{quantity(value, unit)} {bounds}".strip()

    if result.metrics:
        (name, mean), *_ = result.metrics.items()
        return f"; {pretty(name)}: {said(name, mean)}, mean of all settings over {mean.n} seeds"
    table = result.tables.get("over_seeds", {})
    name = next((column for column in table if f"{column}_low" in table), "")
    if not name or length(table) > SAID or "success" in table:  # judged, but not all of them
        return ""
    means = [Estimate(*(row[f"{name}{end}"] for end in ("", "_low", "_high"))) for row in rows(table)]
    key, values = next(iter(table.items()))
    settings = ["" if len(means) < 2 else f"{label(value if isinstance(value, str) else f'{key}={value}')} "
                for value in values]  # fmt: skip
    each = [f"{setting}{said(name, mean)}" for setting, mean in zip(settings, means, strict=True)]
    return f"; {pretty(name)}, mean over seeds: {', '.join(each)}"


def _opening(name: str, jobs: Sequence[Mapping[str, Any]]) -> Opening | None:
    """What was swept, in the words of the experiment; the jobs' own terms, for their metrics stand on the page."""
    if not jobs:
        return None
    openings = [job["opening"] for job in jobs if job.get("opening")]
    file = CONF / "experiment" / f"{name}.yaml"
    titles = list(dict.fromkeys(opening["title"] for opening in openings))
    title = titles[0] if len(titles) == 1 else first_comment(file) if file.is_file() else name
    shown = {name for job in jobs for name in (*job["metrics"], *(job.get("row") or ()))}
    # all words of the first, whose text is told; of the others those of what is shown
    terms = dict(openings[0]["terms"]) if openings else {}
    terms |= {word: meaning for opening in openings for word, meaning in opening["terms"].items() if word in shown}
    text = (
        f"This is a sweep of {len(jobs)} jobs: the same question asked for several settings and seeds. A seed is the "
        "number that all randomness of a training comes from, so that jobs of several seeds show what is chance."
    )
    if openings:
        asks = f"One of the jobs asks: {titles[0]} " if len(titles) > 1 else ""
        text = f"{asks}{openings[0]['text']} {text}"
    return Opening(title, text, terms=terms) if len(jobs) > 1 else None


def curves_of(folders: Iterable[Path], jobs: Sequence[dict[str, Any]] | None = None) -> Table:
    """The learning curves of all jobs as one table, with the job's name as in :func:`overview` in front.

    A job that has none is left out; a column that only some jobs have is None in the others.
    """
    import pyarrow as pa

    folders = list(folders)
    jobs = [read_job(folder) for folder in folders] if jobs is None else jobs
    tables = []
    for folder, name, job in zip(folders, _names(folders, jobs), jobs, strict=True):
        curves = read_table(folder, CURVES, job)
        if curves is not None:
            tables.append(pa.table({"job": pa.array([name] * length(curves), pa.string()), **curves}))
    table: Table = pa.concat_tables(tables, promote_options="permissive").to_pydict() if tables else {}
    return table


def _row_columns(jobs: Sequence[Mapping[str, Any]], settings: list[dict[str, Any]]) -> Table:
    """The columns of the jobs' rows; what the overview says of every job itself is not overruled.

    A job that failed has no row: what its settings say under the same name stands there, if they agree elsewhere.
    """
    taken = {"job", "outcome", "note"}
    table: Table = {}
    for key in dict.fromkeys(key for job in jobs for key in job.get("row") or {} if key not in taken):
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


def outcome_of(job: Mapping[str, Any]) -> str:
    """How a job ended, in one or two words."""
    status = str(job.get("status", "ok"))
    return status if status != "ok" else job.get("verdict_kind") or FINISHED


def _names(folders: list[Path], jobs: Sequence[Mapping[str, Any]]) -> list[str]:
    """The last parts of the jobs' names, or of their folders, whichever tells all of them apart."""
    last = [str(job["name"]).rsplit("/", 1)[-1] for job in jobs]
    places = [str(folder) for folder in folders]
    candidates = (last, [folder.name for folder in folders], places)
    return next((names for names in candidates if len(set(names)) == len(jobs)), places)


def _title(jobs: Sequence[Mapping[str, Any]], path: Path) -> str:
    names = {str(job["name"]).rsplit("/", 1)[0] for job in jobs if "/" in str(job["name"])}
    return names.pop() if len(names) == 1 else path.parent.name


def target(folder: Path, path: Path) -> str:
    """Address of a job's page, or of its result where it has none, as seen from the file ``path``."""
    file = next((file for file in (PAGE, FILE) if (folder / file).exists()), "")
    relative = os.path.relpath(folder / file, path.parent).replace(os.sep, "/")
    return "./" + quote(relative)  # the dot keeps a folder called `javascript:` a folder


def _settings(configs: list[dict[str, Any]], row_columns: Table) -> list[str]:
    """The keys whose values differ between the jobs, the outermost first; the same values are not told twice."""
    flats = [config for config in configs if config]
    every = dict.fromkeys(key for config in flats for key in config if key.split(".")[0] not in PROVENANCE)
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
