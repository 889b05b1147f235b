"""One page over all experiments below a folder: their verdicts, claims, age, cost, and links to their pages."""

from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from src.core.configuration import first_comment
from src.core.files import write_atomically
from src.core.paths import CONF
from src.core.result import FILE, Opening, Result, read_table, scan
from src.report.cells import Age, Link
from src.report.overview import outcome_of, target
from src.report.page import render
from src.report.screen import PAGE

OVERVIEW = "overview"  # folder of a sweep's own page
Job = tuple[Path, Mapping[str, Any]]


def write_experiments(root: Path) -> Path:
    """Write ``root/page.html`` and return it."""
    path = root / PAGE
    write_atomically(path, render(experiments(root, path)))
    return path


def experiments(root: Path, path: Path) -> Result:
    """A row per experiment: what it asks, how its jobs ended, what became of its claims, when, and at what cost."""
    groups: dict[Path, list[Job]] = {}
    for folder, plain in scan(root):
        if folder.parent != root and folder != root and not plain.get("config", {}).get("until"):
            groups.setdefault(folder.parent, []).append((folder, plain))
    now = datetime.now(UTC)
    newest_first = sorted(groups.items(), key=lambda group: max(_changed(place) for place, _ in group[1]), reverse=True)
    rows = [_row(folder, jobs, path, now) for folder, jobs in newest_first]
    result = Result("report", root.name or "outputs", screen=["experiments"])
    result.tables["experiments"] = {key: [row[key] for row in rows] for key in rows[0]} if rows else {}
    result.captions["experiments"] = (
        "One row per experiment, the newest first. Outcomes: how many of its jobs ended how, or what its only one "
        "found. Claims: verdicts on what was published. Hours: what the jobs took in all. Age: of its last result, on "
        f"{now:%Y-%m-%d at %H:%M} UTC, when this page was made."
    )
    result.opening = Opening(
        "All experiments of this folder",
        "Each experiment is a question asked of a network, once or many times as a sweep. Click one for its page.",
    )
    jobs = sum(row["jobs"] for row in rows)
    result.verdict = f"{len(rows)} experiment{'s' * (len(rows) != 1)}, {jobs} job{'s' * (jobs != 1)}"
    return result


def _row(folder: Path, jobs_read: list[Job], path: Path, now: datetime) -> dict[str, Any]:
    jobs = [(place, plain) for place, plain in jobs_read if place.name != OVERVIEW]
    name = folder.relative_to(path.parent).as_posix()
    page = folder / OVERVIEW if (folder / OVERVIEW / FILE).exists() or len(jobs) != 1 else jobs[0][0]
    comment = CONF / "experiment" / f"{name}.yaml"
    last = max(_changed(place) for place, _ in jobs_read)
    outcomes = Counter(outcome_of(plain) for _, plain in jobs)
    return {
        "experiment": Link(name, target(page, path)),
        "outcomes": (jobs[0][1].get("verdict", "") if len(jobs) == 1 else "")
        or ", ".join(f"{count} {outcome}" for outcome, count in outcomes.most_common()),
        "claims": _claims(folder / OVERVIEW, dict(jobs_read).get(folder / OVERVIEW)),
        "jobs": len(jobs),
        "hours": sum(plain.get("seconds", {}).get("all", 0.0) for _, plain in jobs) / 3600,
        "age": Age((now - last).total_seconds()),
        "question": first_comment(comment) if comment.is_file() else "",
    }


def _claims(folder: Path, plain: Mapping[str, Any] | None) -> str:
    """How many of a sweep's claims came to which verdict."""
    try:
        table = read_table(folder, "claims", plain or {}, ["verdict"])
    except (OSError, ValueError):
        return "cannot be read"
    return ", ".join(f"{count} {verdict}" for verdict, count in Counter((table or {"verdict": []})["verdict"]).items())


def _changed(folder: Path) -> datetime:
    return datetime.fromtimestamp((folder / FILE).stat().st_mtime, UTC)
