"""The comparison of many jobs: one table, what is claimed of it, and a page to explore it. Every sweep ends in one."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from src.artifacts.artifacts import Artifacts
from src.artifacts.examined_subject import MEASURED_ON
from src.core.configuration import setting
from src.core.files import write_atomically
from src.core.redaction import redacted
from src.core.result import Explorer, Panel, Result, Table
from src.core.store import digest_of
from src.report.glossary import explained
from src.report.over.judged import judge
from src.report.over.over_seeds import pivoted, read_job, settings_of
from src.report.over.profiles import add_profiles
from src.report.words import pretty
from src.studies.invariance.over_depth import over_depth
from src.tasks.options import Compare

CLAIMS = "claims.md"  # the verdicts as a README's table; `python -m src.report --readme` puts it there
VARIED = ("variant", "seed")  # what the jobs of one setting differ by
UNEQUAL = 2  # jobs that lie so many times apart in what they cost are not alike in it
JOIN = ("variant", "seed", "data")  # columns of the jobs that their learning curves get too


def compare(options: Compare, artifacts: Artifacts) -> Result:
    """Compare the jobs in ``options.folders`` as ``artifacts.running.comparison`` says; without it they are listed.

    ``comparison`` has ``explorer`` (what :class:`src.core.result.Explorer` takes), ``claims`` (names of conf/claims),
    ``regression`` (``outcome``, ``terms``, ``unit``), ``equal_cost`` (a list of costs), ``caption`` (of the jobs),
    ``varied`` (keys by which the jobs of one setting differ), ``over_seeds`` (metrics whose means over seeds are
    wanted; by default the first), ``pivot`` (a column of the jobs' tables, see `src.report.over.over_seeds.pivoted`),
    and ``over_depth`` (curves over layers, see `src.studies.invariance.over_depth`).
    """
    from src.report.overview import counted, curves_of, overview

    folders = [Path(folder) for folder in options.folders]
    folders, read, left_out = counted(folders, [read_job(folder) for folder in folders])
    asked = artifacts.running.comparison or {}
    result = overview(folders, artifacts.session.folder / "page.html", read, asked.get("over_seeds", ()))
    result.task = "compare"
    result.events = [*left_out, *result.events]
    if left := artifacts.running.sweep.open:
        result.events.append(
            f"a sample of the grid: {left} more jobs stay open; a larger sweep.sample, or none, runs them too"
        )
    if asked.get("pivot"):
        places = {id(plain): folder for folder, plain in zip(folders, read, strict=True)}
        means = pivoted(settings_of([(plain.get("config", {}), plain) for plain in read]), places, asked["pivot"])
        if means is not None:
            result.add(means)
            result.screen.insert(1, means.name)
    if not asked or not any(plain.get("row") for plain in read):
        return result
    if asked.get("over_depth"):
        result.add(*over_depth(list(zip(folders, read, strict=True)), asked["over_depth"]))
    if not asked.get("claims") and not asked.get("explorer"):
        return result
    jobs = result.tables["jobs"]
    gates = _tell_settings_apart(jobs, read, tuple(asked.get("varied", VARIED)))
    curves = _joined(curves_of(folders, read), jobs)
    if asked.get("claims"):
        judged = judge(asked, jobs, curves, gates, resamples=options.resamples, seed=options.seed)
        write_atomically(artifacts.session.folder / CLAIMS, redacted(judged.readme))
        _add_first(result, judged.panels, screen=["claims", *(name for name in result.screen if name != "jobs")])
        result.verdict = f"{judged.sentence}; {result.verdict}"
        result.events += judged.empty
    if asked.get("explorer"):
        result.add(Panel("", "curves", curves, units={"accuracy": "%"} if "accuracy" in curves else {}))
        result.explorer = Explorer(table="jobs", name="variant", curves="curves", **_tuples(asked["explorer"]))
        # the explorer shows what these say
        result.figures = [figure for figure in result.figures if figure.table not in ("jobs", "over_seeds")]
        result.folded += [name for name in ("over_seeds", "by_seed") if name in result.tables]
        if result.opening:
            text = f"{result.opening.text} {_spread(result, result.explorer)}".rstrip()
            result.opening = replace(result.opening, text=text, steps=add_profiles(result, result.explorer))
    result.captions["jobs"] = asked.get("caption", "")
    return result


def _spread(result: Result, explorer: Explorer) -> str:
    """How far the jobs lie apart in the first of their costs, where that is too far to compare them as they stand."""
    cost = next(iter(explorer.costs), "")
    known = [value for value in result.tables[explorer.table].get(cost, ()) if value]
    if not known or max(known) < UNEQUAL * min(known):
        return ""
    times, meaning = max(known) / min(known), explained(cost, result).rstrip(".").lower()
    said = f"{pretty(cost)} ({meaning})" if meaning else pretty(cost)
    return f"{said} differ up to {times:.0f} times between the jobs: look at networks of equal cost, too."


def _add_first(result: Result, panels: Sequence[Panel], screen: list[str]) -> None:
    """Before the tables that are there already."""
    result.add(*panels)
    first = {panel.name: result.tables[panel.name] for panel in panels}
    result.tables = {**first, **result.tables}
    result.screen = screen


def _tell_settings_apart(jobs: Table, read: Sequence[Mapping[str, Any]], varied: Sequence[str]) -> dict[str, float]:
    """Name in ``jobs["data"]`` also the setting, where one data set was trained on in several ways.

    Returns:
        Data (and setting) -> the accuracy that the reference has to reach, as the jobs' recipes say.
    """
    # a precision that memory decided is a setting of its own; a job without a row has none
    with_rows = [(job.get("config", {}), job["row"]) if job.get("row") else ({}, {}) for job in read]
    settings = [
        (row.get("data"), digest_of([setting(config, varied), row.get("precision")])[:4] if row else "")
        for config, row in with_rows
    ]
    ways = Counter(data for data, _ in set(settings))
    jobs["data"] = [f"{data} ({digest})" if ways[data] > 1 else data for data, digest in settings]
    return {
        data: config[role]["training"]["minimum_accuracy"]
        for data, (config, row) in zip(jobs["data"], with_rows, strict=True)
        if row and not config.get("tiny") and (role := _reference(config)) in config
    }


def _reference(config: Mapping[str, Any]) -> str:
    """The recipe of the network that a job is about; a network that comes trained has none."""
    return MEASURED_ON.get(config["subject"]["kind"], "") if "subject" in config else "recipe"


def _joined(curves: Table, jobs: Table) -> Table:
    """The learning curves with what identifies their jobs."""
    places = {str(name): number for number, name in enumerate(jobs["job"])}
    rows = [places[name] for name in curves.get("job", ())]
    return curves | {column: [jobs[column][row] for row in rows] for column in JOIN if column in jobs}


def _tuples(settings: Mapping[str, Any]) -> dict[str, Any]:
    return {key: tuple(value) if isinstance(value, list) else value for key, value in settings.items()}
