"""A sweep from its list of jobs to its end: what is done is left alone, the rest runs, and everything is told."""

import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from src.core.claims import CLAIM, lives
from src.core.configuration import identity
from src.core.errors import UserError, full_disk
from src.core.result import remove_partial
from src.core.running import Sweep
from src.jobs.sweep.jobs import Job, Planning, is_done, longest_first, stages
from src.jobs.sweep.outcomes import FAILED, Outcome, Outcomes, new_id, outcome, remove_dead
from src.jobs.sweep.plan import Plan, confirm, tell
from src.jobs.sweep.watch import Watch

Launch = Callable[[Sequence[Sequence[str]]], object]


def run_sweep(
    jobs: Sequence[Job],
    launch: Launch,
    planning: Planning,
    *,
    folder: Path,
    settings: Sweep,
    stage_first: bool,
    at_once: int = 1,
    finish: Callable[[Sequence[Path], Mapping[str, Any]], Outcome],
) -> list[Outcome]:
    """Run what is missing of ``jobs`` and tell what all of them came to.

    Args:
        jobs: of the whole grid.
        launch: runs jobs given as override lists, and returns when all have ended.
        planning: what is known of the tasks.
        folder: of the sweep.
        settings: what of it is looked at only, asked about, run again, and when no further job is started.
        stage_first: make what several jobs need before them (pointless where jobs run one after the other).
        at_once: jobs that run side by side, 0 where that is not known.
        finish: makes the page over all jobs, given their folders and the configuration of one of them.

    Returns:
        The outcomes of all jobs and, where there is one, of the page over them.

    Raises:
        UserError: none of the jobs can be run, or so many are not meant.
    """
    jobs = list({job.folder: job for job in jobs}.values())  # two lines of the grid may mean the same job
    broken, whole = [job for job in jobs if job.fault], [job for job in jobs if not job.fault]
    done = [] if settings.rerun else [job for job in whole if _done(job, planning)]
    places = {job.folder for job in done}
    missing = longest_first(job for job in whole if job.folder not in places)
    if done:
        print(f"{len(done)} of {len(jobs)} jobs are done already; sweep.rerun=true would run them again", flush=True)
    faults = {job.fault for job in broken}
    if not whole and len(faults) == 1:
        raise UserError(faults.pop())
    for job in broken:
        print(f"failed   {job.folder.name}  {job.fault}", flush=True)
    if not whole:
        raise UserError(f"none of the {len(jobs)} jobs can be run; mend what is said of each")
    refused: list[Outcome] = [outcome("failed", job.folder.name, job.fault, job.folder) for job in broken]
    plan = Plan(missing, done, folder, at_once)
    if settings.dry_run:
        tell(plan, planning, stage_first=stage_first)
        return refused
    confirm(plan, planning, settings)
    for job in done:
        if not lives(job.folder / CLAIM):
            remove_partial(job.folder)
    remove_dead(folder)
    outcomes = Outcomes(folder, new_id())
    limit = [] if settings.max_hours is None else [f"sweep.ends={time.time() + settings.max_hours * 3600:.3f}"]
    marks = [f"sweep.id={outcomes.folder.name}", *limit]
    try:
        with outcomes.alive():
            if missing and stage_first:
                _run_stages(missing, launch, planning, limit)
            outcome_of = _run(missing, launch, outcomes, marks) if missing else {}
            begun = outcomes.begun()
    finally:
        outcomes.remove()
    kept = [outcome("ok", job.folder.name, "", job.folder) for job in done]
    ended = [*kept, *refused, *(outcome_of.get(str(job.folder)) or _lost(job, begun, planning) for job in missing)]
    _count(ended)
    page = finish([job.folder for job in whole], whole[0].config)
    waiting = sum(each["status"] == "not started" for each in ended)
    if limit and waiting:
        hours = f"sweep.max_hours={settings.max_hours:g}"
        print(f"{waiting} of {len(ended)} jobs were not started ({hours}); the same command goes on", flush=True)
    return [*ended, page]


def _done(job: Job, planning: Planning) -> bool:
    return is_done(job.folder, identity(job.config), planning.version_of(job.config))


def _run_stages(missing: Sequence[Job], launch: Launch, planning: Planning, limit: Sequence[str]) -> None:
    for stage, chosen in stages(missing, planning.ancestors).items():
        count = f"{len(chosen)} job{'s' if len(chosen) > 1 else ''}"
        print(f"first, what several jobs share: {stage}, {count}", flush=True)
        # no outcome is asked for: a job that misses what a stage could not make says why itself
        _launch(launch, [[*job.overrides, f"until={stage}", *limit] for job in chosen])


def _run(missing: Sequence[Job], launch: Launch, outcomes: Outcomes, marks: Sequence[str]) -> dict[str, Outcome]:
    try:
        outcomes.folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        print(f"error: {full_disk(error, outcomes.folder) or error}", file=sys.stderr, flush=True)
        return {}
    with Watch(missing, outcomes):
        left, suspects = list(missing), []
        while left and not _launch(launch, [[*job.overrides, *marks] for job in left]):
            # the pool died with one of its jobs: those that had begun come last and one by one, so that a job that
            # kills its process (memory) takes no other with it
            ended, begun = outcomes.read(), outcomes.begun()
            rest = [job for job in left if str(job.folder) not in ended]
            fresh = [job for job in rest if job.folder.name not in begun]
            suspects += [job for job in rest if job.folder.name in begun]
            if len(fresh) == len(left):
                break  # nothing ever begins with this launcher
            left = fresh
        for job in suspects:
            _launch(launch, [[*job.overrides, *marks]])
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


def _lost(job: Job, begun: set[str], planning: Planning) -> Outcome:
    """What is told of a job that left no outcome."""
    if _done(job, planning):
        return outcome("ok", job.folder.name, "", job.folder)
    if job.folder.name not in begun:
        return outcome("not started", job.folder.name, "the launcher could not start it", job.folder)
    said = "its process ended without a word (killed, or out of memory or disk?); the same command runs it again"
    return outcome("failed", job.folder.name, said, job.folder)


def _count(ended: Sequence[Outcome]) -> None:
    failed = sum(each["status"] in FAILED for each in ended)
    waiting = sum(each["status"] == "not started" for each in ended)
    more = f", {waiting} not started" if waiting else ""
    print(f"\n{len(ended)} jobs: {len(ended) - failed - waiting} ended, {failed} failed{more}", flush=True)
