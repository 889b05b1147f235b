"""What a sweep would do, before it does it: its jobs, what they share, how long it takes; and whether that is meant."""

import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from statistics import median
from typing import NamedTuple

from src.core.errors import UserError
from src.core.files import read_json
from src.core.result import FILE
from src.core.running import Sweep
from src.jobs.sweep.jobs import Job, Planning, stages
from src.report.words import duration

SHOWN = 20  # jobs that are listed
LOOKED_AT = 100  # earlier results, the newest


class Plan(NamedTuple):
    """The jobs of a sweep.

    Attributes:
        missing: that would run, in this order. done: with a result that counts.
        at_once: how many run side by side, 0 where the launcher alone knows.
    """

    missing: Sequence[Job]
    done: Sequence[Job]
    folder: Path
    at_once: int


def tell(plan: Plan, planning: Planning, *, stage_first: bool) -> None:
    """Print what would run, what is done, what is shared, and how long it takes."""
    print(f"{len(plan.missing)} jobs would run, {len(plan.done)} are done", flush=True)
    for title, jobs in (("run ", plan.missing), ("done", plan.done)):
        for job in jobs[:SHOWN]:
            print(f"  {title}  {job.folder.name}")
        if len(jobs) > SHOWN:
            print(f"  {title}  ... and {len(jobs) - SHOWN} more")
    for stage, makers in stages(plan.missing, planning.ancestors).items():
        when = "first" if stage_first else "by the first job that needs it"
        print(f"shared by several jobs: {stage}, {len(makers)} to be made or found, {when}")
    if plan.missing:
        print(f"time: {takes(plan, planning)}")
    print("nothing was started (sweep.dry_run)", flush=True)


def confirm(plan: Plan, planning: Planning, settings: Sweep) -> None:
    """Ask before very many jobs are started.

    Raises:
        UserError: it is not wanted, or there is nobody to ask.
    """
    count, most = len(plan.missing), settings.confirm_above
    if most is None or count <= most:
        return
    said = f"{count} jobs would be started ({takes(plan, planning)})"
    if not (sys.stdin and sys.stdin.isatty() and sys.stdout.isatty()):
        how = f"confirm by sweep.confirm_above={count} (null: never ask), look first by sweep.dry_run=true"
        raise UserError(f"sweep.confirm_above={most}: {said}; {how}", "sweep.confirm_above")
    try:
        answer = input(f"{said}. Start them? [y/N] ")
    except EOFError:
        answer = ""
    if answer.strip().lower() not in ("y", "yes"):
        raise UserError("nothing was started; sweep.sample=K runs a balanced part of them", "sweep.confirm_above")


def takes(plan: Plan, planning: Planning) -> str:
    """How long the missing jobs take, by what earlier ones of their kind took."""
    pairs = list(_earlier(plan, planning))
    if not pairs:
        return "no earlier job of this kind tells how long it takes"
    if all(expense for _, expense in pairs) and all(job.expense for job in plan.missing):
        whole = median(seconds / expense for seconds, expense in pairs) * sum(job.expense for job in plan.missing)
    else:
        whole = median(seconds for seconds, _ in pairs) * len(plan.missing)
    said = f"about {duration(whole)} one after the other, by {len(pairs)} earlier"
    side_by_side = min(plan.at_once, len(plan.missing))
    return said if side_by_side < 2 else f"{said}; about {duration(whole / side_by_side)} with {side_by_side} at once"


def _earlier(plan: Plan, planning: Planning) -> Iterable[tuple[float, float]]:
    """Seconds and expense of jobs that ended well: those of this sweep, or else of any like it in its folder."""
    for job in plan.done[:LOOKED_AT]:
        yield from _took(job.folder, job)
    if plan.done or not plan.missing:
        return
    paths = [path / FILE for path in plan.folder.glob("*") if (path / FILE).is_file()]
    for path in sorted(paths, key=lambda path: -path.stat().st_mtime_ns)[:LOOKED_AT]:
        yield from _took(path.parent, plan.missing[0], planning)


def _took(folder: Path, like: Job, planning: Planning | None = None) -> Iterable[tuple[float, float]]:
    try:
        plain = read_json(folder / FILE)
        config, seconds = plain["config"], float(plain["seconds"]["all"])
        kind = (plain["status"], config["task"], config.get("tiny"), config.get("until"))
        if kind == ("ok", like.config["task"], like.config.get("tiny"), None):
            yield seconds, planning.expense(config) if planning else like.expense
    except (OSError, ValueError, KeyError, TypeError):  # nothing that could be learned from
        return
