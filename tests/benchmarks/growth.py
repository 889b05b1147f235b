"""How bookkeeping grows: jobs of a sweep that are planned, found done and told on one page, and entries of the store.

    OMP_NUM_THREADS=1 python -m tests.benchmarks.growth --jobs 20000 --entries 10000

Nothing is trained: results and entries are made up, as small as real ones are. Each step is timed for a quarter of the
jobs and for all; its ratio is 4 where it is linear and 16 where it is quadratic.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from unittest import mock

from src.core.configuration import identity
from src.core.files import write_atomically
from src.core.result import Result, save
from src.core.store import Key, Store
from src.jobs.command_line import CommandLine, check_command_line
from src.jobs.sweep.jobs import Job, is_done, stages
from src.jobs.sweep.outcomes import Outcomes, new_id, outcome
from src.report.overview import write_overview
from src.tasks import versions
from src.tasks.options import Store as StoreOptions
from src.tasks.store import store
from tests.fakes.artifacts import artifacts
from tests.fakes.study import FakeSession

SHARE = 4  # the smaller sweep has one in so many jobs

Took = dict[str, float]


@contextmanager
def timed(took: Took, step: str) -> Iterator[None]:
    start = time.perf_counter()
    yield
    took[step] = time.perf_counter() - start


def sweep_of(count: int, outputs: Path) -> Took:
    """Seconds of each step over a sweep of ``count`` jobs, of which two share a strong network."""
    took: Took = {}
    lines = ["experiment=patch_weak", "debug=tiny", "logger=csv", f"outputs={outputs}"]
    line: CommandLine = check_command_line(["-m", *lines])
    grid = [[*lines, f"target_class={number % 2}", f"seed={number // 2}"] for number in range(count)]
    with timed(took, "planning"):
        jobs = line.composer.jobs(line.composed, grid)
    assert not any(job.fault for job in jobs)
    with timed(took, "shared stages"):
        stages(jobs, versions.ancestors)
    for job in jobs:
        _leave(job)
    with timed(took, "resume"):
        assert all(is_done(job.folder, identity(job.config), versions.version_of(job.config)) for job in jobs)
    with timed(took, "overview"):
        write_overview([job.folder for job in jobs], outputs / "overview" / "page.html")
    with timed(took, "outcomes"):
        _report(jobs, outputs)
    return took


def _leave(job: Job) -> None:
    """A result as the job would leave it."""
    result = Result("patch", f"patch_weak/{job.config['label']}", config=dict(job.config))
    result.identity, result.version = identity(job.config), versions.version_of(job.config)
    result.tables = {"methods": {"method": ["weak", "patched"], "f1": [0.5, 0.6]}}
    save(result, job.folder)


def _report(jobs: Sequence[Job], sweep: Path) -> None:
    """Every job asks how many failed, as ``sweep.max_failures`` has it, and leaves its outcome."""
    name = new_id()
    Outcomes(sweep, name).folder.mkdir(parents=True)
    for job in jobs:
        of_job = Outcomes(sweep, name)
        assert of_job.failures() == 0
        of_job.begin(job.folder)
        of_job.record(outcome("ok", "", "", job.folder))
    assert len(Outcomes(sweep, name).read()) == len(jobs)


def store_of(count: int, outputs: Path) -> Took:
    """Seconds of ``task=store`` over ``count`` entries, a tenth of them unused."""
    took: Took = {}
    kept = Store(outputs / "store")
    parent = kept.make(Key("checkpoint", {"model": {"name": "simcnn"}}), _file)
    for number in range(count - 1):
        entry = kept.make(Key("modules", {"number": number}, parents=(parent.digest,)), _file)
        if number % 10:
            save(Result("patch", f"patch/{number}", uses=[entry.digest]), outputs / "patch" / str(number))
    given = artifacts(FakeSession(outputs / "none"), outputs / "store", outputs=str(outputs))
    for prune in ("none", "unused"):
        with timed(took, f"task=store prune={prune}"):
            store(StoreOptions(0, prune), given)
    return took


def _file(folder: Path) -> None:
    write_atomically(folder / "weights", "x" * 1000)


def measured(of: Callable[[int, Path], Took], count: int, where: str | None) -> list[tuple[str, float, float]]:
    """Step, seconds for a quarter, seconds for all."""
    runs = []
    for number in (count // SHARE, count):
        folder = Path(tempfile.mkdtemp(dir=where))
        try:
            runs.append(of(number, folder))
        finally:
            shutil.rmtree(folder)
    return [(step, runs[0][step], runs[1][step]) for step in runs[0]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=2000)
    parser.add_argument("--entries", type=int, default=1000)
    parser.add_argument("--folder", help="where files are made; by default the temporary folder")
    given = parser.parse_args()
    with mock.patch("os.fsync"):  # the disk's own time, the same for each file
        found = measured(sweep_of, given.jobs, given.folder) + measured(store_of, given.entries, given.folder)
    for step, few, all_of_them in found:
        print(f"{step:<26}{few:>9.2f} s{all_of_them:>9.2f} s{all_of_them / few:>8.1f} times", flush=True)


if __name__ == "__main__":
    main()
