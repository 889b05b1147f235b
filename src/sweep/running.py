"""A sweep from its list of jobs to its end: what is done is left alone, the rest runs, and everything is told."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from src.errors import full_disk
from src.sweep.jobs import Ancestors, Job, is_done, longest_first, stages
from src.sweep.outcomes import FAILED, Outcome, Outcomes, new_id
from src.sweep.watch import Watch

Launch = Callable[[Sequence[Sequence[str]]], object]

#: Of the last sweep of this process: decides the exit code.
_last: list[Outcome] = []


class Planning(Protocol):
    """What a sweep asks about tasks; see :mod:`src.tasks.planning`."""

    def version_of(self, task: str) -> int: ...
    def ancestors(self, config: Mapping[str, Any]) -> Ancestors: ...


def run_sweep(
    jobs: Sequence[Job],
    launch: Launch,
    planning: Planning,
    *,
    folder: Path,
    settings: Mapping[str, Any],
    stage_first: bool,
    finish: Callable[[Sequence[Path]], Outcome],
) -> list[Outcome]:
    """Run what is missing of ``jobs`` and tell what all of them came to.

    Args:
        jobs: of the whole grid.
        launch: runs jobs given as override lists, and returns when all have ended.
        planning: what is known of the tasks.
        folder: of the sweep.
        settings: ``max_failures``: after so many no further job is started; ``rerun``: also what is done runs again.
        stage_first: make what several jobs need before them (pointless where jobs run one after the other).
        finish: makes the page over all jobs, given their folders.
    """
    jobs = list({job.folder: job for job in jobs}.values())  # two lines of the grid may mean the same job
    broken = [job for job in jobs if job.fault]
    done = [] if settings["rerun"] else [job for job in jobs if not job.fault and _done(job, planning)]
    missing = longest_first(job for job in jobs if not job.fault and job not in done)
    if done:
        print(f"{len(done)} of {len(jobs)} jobs are done already; sweep.rerun=true would run them again", flush=True)
    for job in broken:
        print(f"failed   {job.folder.name}  {job.fault}", flush=True)
    outcomes = Outcomes(folder, new_id())
    mark = f"sweep.id={outcomes.folder.name}"
    try:
        if missing and stage_first:
            _run_stages(missing, launch, planning)
        found = _run(missing, launch, outcomes, mark) if missing else {}
    finally:
        outcomes.remove()
    kept = [{"status": "ok", "label": job.folder.name, "verdict": "", "folder": str(job.folder)} for job in done]
    faults = [{"status": "failed", "label": j.folder.name, "verdict": j.fault, "folder": str(j.folder)} for j in broken]
    ended = [*kept, *faults, *(found.get(str(job.folder), _lost(job)) for job in missing)]
    _count(ended)
    page = finish([job.folder for job in jobs if not job.fault])
    _last[:] = [*ended, page]
    return ended


def exit_code() -> int:
    """1 if a job of the last sweep failed or was not started."""
    return int(any(outcome["status"] != "ok" for outcome in _last))


def forget() -> None:
    """Begin anew, where one process runs several command lines."""
    _last.clear()


def record_single(outcome: Outcome) -> None:
    """The outcome of a job that is no part of a sweep decides the exit code alone."""
    _last[:] = [outcome]


def _done(job: Job, planning: Planning) -> bool:
    from src.configuration import identity

    return is_done(job.folder, identity(job.config), planning.version_of(job.config["task"]))


def _run_stages(missing: Sequence[Job], launch: Launch, planning: Planning) -> None:
    for stage, chosen in stages(missing, planning.ancestors).items():
        print(f"first, what several jobs share: {stage}, {len(chosen)} times", flush=True)
        # no outcome is asked for: a job that misses what a stage could not make says why itself
        _launch(launch, [[*job.overrides, f"until={stage}"] for job in chosen])


def _run(missing: Sequence[Job], launch: Launch, outcomes: Outcomes, mark: str) -> dict[str, Outcome]:
    try:
        outcomes.folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        print(f"error: {full_disk(error, outcomes.folder) or error}", file=sys.stderr, flush=True)
        return {}
    with Watch(missing, outcomes):
        for _ in range(2):  # a worker that was killed takes the other workers' jobs with it: they get a second chance
            left = [job for job in missing if str(job.folder) not in outcomes.read()]
            if not left or _launch(launch, [[*job.overrides, mark] for job in left]):
                break
    return outcomes.read()


def _launch(launch: Launch, lines: Sequence[Sequence[str]]) -> bool:
    """Whether the launcher came to its end; where its workers died it says so."""
    try:
        launch(lines)
    except Exception as error:
        reason = " ".join(str(error).split())[:200]
        print(f"a worker ended before its job ({type(error).__name__}: {reason})", file=sys.stderr, flush=True)
        return False
    return True


def _lost(job: Job) -> Outcome:
    said = "its process ended without a word (killed, or out of memory or disk?); the same command runs it again"
    return {"status": "failed", "label": job.folder.name, "verdict": said, "folder": str(job.folder)}


def _count(ended: Sequence[Outcome]) -> None:
    failed = sum(outcome["status"] in FAILED for outcome in ended)
    waiting = sum(outcome["status"] == "not started" for outcome in ended)
    more = f", {waiting} not started (sweep.max_failures)" if waiting else ""
    print(f"\n{len(ended)} jobs: {len(ended) - failed - waiting} ended, {failed} failed{more}", flush=True)
