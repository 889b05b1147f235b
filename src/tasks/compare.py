"""The comparison of many jobs: one table, what is claimed of it, and a page to explore it. Every sweep ends in one."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from src.core.configuration import setting
from src.core.files import read_json, write_atomically
from src.core.paths import CONF
from src.core.result import FILE, Explorer, Panel, Result, Table, rows
from src.core.store import Store, digest_of
from src.report.over.over_seeds import add_over_seeds, read_jobs
from src.studies.invariance.over_depth import add_over_depth

if TYPE_CHECKING:
    from src.report.session import Session

CLAIMS = "claims.md"  # the verdicts as a README's table; `python -m src.report --readme` puts it there
VARIED = ("variant", "seed")  # what the jobs of one setting differ by
JOIN = ("variant", "seed", "data")  # columns of the jobs that their learning curves get too


def compare(config: Mapping[str, Any], store: Store, session: Session) -> Result:
    """Compare the jobs in ``config["folders"]`` as ``config["comparison"]`` says; without it they are listed.

    ``comparison`` has ``explorer`` (what :class:`src.core.result.Explorer` takes), ``claims`` (names of conf/claims),
    ``regression`` (``outcome``, ``terms``, ``unit``), ``equal_cost`` (a list of costs), ``caption`` (of the jobs),
    ``varied`` (keys by which the jobs of one setting differ), ``over_seeds`` (metrics whose means are wanted), and
    ``over_depth`` (curves over layers, see `src.studies.invariance.over_depth`).
    """
    from src.report.overview import curves_of, overview

    folders = [Path(folder) for folder in config["folders"]]
    result = overview(folders, session.folder / "page.html")
    result.task = "compare"
    how = config["comparison"]
    if not how or not any(read_row(folder)[1] for folder in folders):
        return result
    if how.get("over_seeds"):
        add_over_seeds(result, read_jobs(folders, FILE), how["over_seeds"])
    if how.get("over_depth"):
        add_over_depth(result, folders, how["over_depth"])
    if not how.get("claims") and not how.get("explorer"):
        return result
    jobs = result.tables["jobs"]
    gates = _tell_settings_apart(jobs, folders, tuple(how.get("varied", VARIED)))
    curves = _joined(curves_of(folders), jobs)
    if how.get("claims"):
        _judge(result, how, curves, gates, config, session.folder)
    if how.get("explorer"):
        result.add(Panel("", "curves", curves, units={"accuracy": "%"} if "accuracy" in curves else {}))
        asked: Any = {name: tuple(v) if isinstance(v, list) else v for name, v in how["explorer"].items()}
        result.explorer = Explorer(table="jobs", name="variant", curves="curves", **asked)
        result.figures = []
    result.captions["jobs"] = how.get("caption", "")
    return result


def read_row(folder: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """A job's configuration and row; both empty where it left none."""
    try:
        plain = read_json(folder / FILE)
    except (OSError, ValueError):
        return {}, {}
    return plain.get("config", {}), plain.get("row", {})


def _tell_settings_apart(jobs: Table, folders: Sequence[Path], varied: Sequence[str]) -> dict[str, float]:
    """Name in ``jobs["data"]`` also the setting, where one data set was trained on in several ways.

    Returns:
        Data (and setting) -> the accuracy that the reference has to reach, as the jobs' recipes say.
    """
    read = [read_row(folder) for folder in folders]
    # a precision that memory decided is a setting of its own
    digests = [digest_of([setting(config, varied), row.get("precision")])[:4] if row else "" for config, row in read]
    plain = [row.get("data") for _, row in read]
    several = {data for data in plain if len({d for d, other in zip(digests, plain, strict=True) if other == data}) > 1}
    jobs["data"] = [f"{data} ({d})" if data in several else data for data, d in zip(plain, digests, strict=True)]
    return {
        data: config["recipe"]["training"]["minimum_accuracy"]
        for data, (config, row) in zip(jobs["data"], read, strict=True)
        if row and not config.get("tiny")
    }


def _joined(curves: Table, jobs: Table) -> Table:
    """The learning curves with what identifies their jobs."""
    places = {str(name): number for number, name in enumerate(jobs["job"])}
    rows = [places[name] for name in curves.get("job", ())]
    return curves | {column: [jobs[column][row] for row in rows] for column in JOIN if column in jobs}


def _judge(
    result: Result,
    how: Mapping[str, Any],
    curves: Table,
    gates: Mapping[str, float],
    config: Mapping[str, Any],
    folder: Path,
) -> None:
    """Add the verdicts on what is claimed, and the regressions behind them."""
    from src.statistics import claims
    from src.statistics.claims.outcomes import DERIVED

    asked = claims.read_claims(CONF / "claims", how["claims"])
    table = result.tables["jobs"]
    told_of = [row for row, data in enumerate(table["data"]) if data is not None]  # a job that failed has no data set
    # a job that came to its end has a status of its own, whatever its verdict
    statuses = [outcome if outcome in ("failed", "interrupted") else "ok" for outcome in table["outcome"]]
    jobs = {**table, "status": statuses}
    jobs = {name: [values[row] for row in told_of] for name, values in jobs.items()}
    # a metric that no job of this sweep was asked for leaves the claim without a verdict, and not the sweep without all
    jobs |= {claim.metric: [None] * len(told_of) for claim in asked if claim.metric not in {*jobs, *DERIVED}}
    chance = {"resamples": config["resamples"], "seed": config["seed"]}
    verdicts = claims.judge(asked, jobs, curves, gates=gates, **chance)
    write_atomically(folder / CLAIMS, claims.readme_table(verdicts))
    told = claims.verdict_table(verdicts)
    words = ("reason", "source")  # too long for a window
    tables = {
        "claims": {column: values for column, values in told.items() if column not in words},
        "why": {column: values for column, values in told.items() if column in ("claim", "data", *words)},
    }
    if how.get("regression"):
        trained = _past_the_gate(jobs, gates)
        tables["regression"] = claims.regression(trained, **how["regression"], **chance)
        for cost in how.get("equal_cost", ()):
            same = {name: how["regression"][name] for name in ("outcome", "unit")}
            tables[f"at_equal_{cost}"] = claims.equal_cost(trained, cost=cost, **same, **chance)
    result.tables = {**tables, **result.tables}
    result.screen = ["claims"]
    result.units["difference"] = "points"
    counts = Counter(verdict.verdict for verdict in verdicts)
    told_counts = ", ".join(f"{count} {verdict}" for verdict, count in counts.most_common())
    result.verdict = f"{result.verdict}; of {len(verdicts)} claims: {told_counts}"


def _past_the_gate(jobs: Table, gates: Mapping[str, float]) -> Table:
    """The jobs on data whose baseline converged: of the others no coefficient means anything."""
    reached: dict[str, list[float]] = {}
    for row in rows(jobs):
        if row["variant"] == "baseline" and row["status"] == "ok":
            reached.setdefault(row["data"], []).append(row["validation_accuracy"])
    held = {data for data, found in reached.items() if sum(found) / len(found) >= gates.get(data, math.inf)}
    return {name: [v for v, data in zip(values, jobs["data"], strict=True) if data in held]
            for name, values in jobs.items()}  # fmt: skip
