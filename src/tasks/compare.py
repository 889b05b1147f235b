"""The comparison of many jobs: one table, what is claimed of it, and a page to explore it. Every sweep ends in one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from src.result import Explorer, Result, Table, scan
from src.store import Store

if TYPE_CHECKING:
    from src.report.session import Session

FOLDER = "overview"  # of the page, below the sweep's


def compare(config: Mapping[str, Any], store: Store, session: Session) -> Result:
    """Compare the jobs in ``config["folders"]`` as ``config["comparison"]`` says; without it they are listed.

    ``comparison`` has ``explorer`` (what :class:`src.result.Explorer` takes), ``claims`` (names of conf/claims),
    ``regression`` (``outcome``, ``terms``, ``unit``) and ``equal_cost`` (``outcome``, ``cost``).
    """
    from src.report.overview import overview

    folders = [Path(folder) for folder in config["folders"]]
    result = overview(folders, session.folder / "page.html")
    result.task = "compare"
    how = config["comparison"]
    if not how:
        return result
    from src.report.overview import curves_of

    curves = curves_of(folders)
    if how.get("explorer"):
        result.tables["curves"] = curves
        result.explorer = Explorer(table="jobs", curves="curves", **_tuples(how["explorer"]))
        result.figures = []
    if how.get("claims"):
        _judge(result, how, curves, folders, config)
    return result


def jobs_below(folder: Path) -> list[Path]:
    """Folders of all results below ``folder`` that are jobs to compare: no comparison, no stage of other jobs."""
    found = []
    for place, plain in scan(folder):
        if plain.get("task") != "compare" and not plain.get("config", {}).get("until"):
            found.append(place)
    return found


def _judge(
    result: Result, how: Mapping[str, Any], curves: Table, folders: Sequence[Path], config: Mapping[str, Any]
) -> None:
    from src import claims

    jobs = result.tables["jobs"]
    verdicts = claims.judge(
        [claims.load(name) for name in how["claims"]],
        jobs,
        curves,
        gates=_gates(folders),
        resamples=config["resamples"],
        seed=config["seed"],
    )
    result.tables["claims"] = claims.verdict_table(verdicts)
    result.screen = ["claims"]
    if how.get("regression"):
        result.tables["regression"] = claims.regression(
            jobs, **how["regression"], resamples=config["resamples"], seed=config["seed"]
        )
    if how.get("equal_cost"):
        result.tables["equal_cost"] = claims.equal_cost(
            jobs, **how["equal_cost"], resamples=config["resamples"], seed=config["seed"]
        )


def _gates(folders: Sequence[Path]) -> dict[str, float]:
    """Data set -> the accuracy that its reference has to reach, as the jobs' recipes say."""
    from src.result import FILE, read_json

    gates = {}
    for folder in folders:
        try:
            plain = read_json(folder / FILE)
        except (OSError, ValueError):
            continue
        gates[plain["row"].get("data", "")] = plain["config"]["recipe"]["training"]["minimum_accuracy"]
    return gates


def _tuples(settings: Mapping[str, Any]) -> dict[str, Any]:
    return {key: tuple(value) if isinstance(value, list) else value for key, value in settings.items()}
