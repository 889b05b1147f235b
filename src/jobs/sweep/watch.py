"""What a reader sees of a running sweep: a line per job as it ends, and one bar with the time that is left.

A thread of the parent looks for new outcomes, so the jobs themselves are silent on every launcher.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Self

from src.jobs.sweep.jobs import Job
from src.jobs.sweep.outcomes import Outcome, Outcomes
from src.report.words import duration

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress

INTERVAL = 0.2  # seconds between two looks
SHARE = 0.05  # of the time that looking may take: a look at many outcomes is a long one
STYLES = {"failed": "red", "interrupted": "magenta", "not started": "dim"}


class Watch:
    """Tells outcomes while the body of a ``with`` runs the jobs.

    Args:
        jobs: those that will run. outcomes: where theirs appear.
        console: the standard output by default; without a terminal there are plain lines and no bar.
    """

    def __init__(self, jobs: Sequence[Job], outcomes: Outcomes, console: Console | None = None) -> None:
        from rich.console import Console

        self.jobs = {str(job.folder): job for job in jobs}
        self.outcomes = outcomes
        self.console = console or Console(highlight=False, soft_wrap=True)
        self.live = self.console.is_terminal and not self.console.is_dumb_terminal
        self._told: set[str] = set()
        self._spent = 0.0
        self._whole = sum(job.expense for job in jobs) or 1.0
        self._start = time.monotonic()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._bar: Progress | None = None
        self._task: Any = None

    def __enter__(self) -> Self:
        if self.live:
            self._bar = _bar(self.console)
            self._task = self._bar.add_task("", total=self._whole, jobs=self._count(), left="")
            self._bar.start()
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._stop.set()
        self._thread.join()
        self._look()
        if self._bar:
            self._bar.stop()

    def _run(self) -> None:
        took = 0.0
        while not self._stop.wait(max(INTERVAL, took / SHARE)):
            start = time.monotonic()
            self._look()
            took = time.monotonic() - start

    def _look(self) -> None:
        for folder, outcome in self.outcomes.read().items():
            if folder in self.jobs and folder not in self._told:
                self._told.add(folder)
                self._spent += self.jobs[folder].expense or self._whole / len(self.jobs)
                self._tell(outcome)
        if self._bar:
            self._bar.update(self._task, completed=self._spent, jobs=self._count(), left=self._left())

    def _tell(self, outcome: Outcome) -> None:
        from rich.text import Text

        line = f"{outcome['status']:<8} {outcome['label']:<22} {duration(outcome.get('seconds', 0)):>8}  "
        line += str(outcome["verdict"])
        if not self.live:
            left = "" if outcome["status"] == "not started" else self._left()  # nothing else is started, then
            line = f"{self._count():>9}  {line}" + (f"  ({left})" if left else "")
        self.console.print(Text(line, STYLES.get(outcome["status"], "")))

    def _count(self) -> str:
        return f"{len(self._told)}/{len(self.jobs)}"

    def _left(self) -> str:
        """By the expense of what has ended; jobs that run now count as not begun, so it errs on the long side."""
        share = self._spent / self._whole
        if not 0 < share < 1:
            return ""
        return f"about {duration((time.monotonic() - self._start) * (1 - share) / share)} left"


def _bar(console: Console) -> Progress:
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (
        TextColumn("{task.fields[jobs]}"),
        BarColumn(None),
        TimeElapsedColumn(),
        TextColumn("{task.fields[left]}"),
    )
    return Progress(*columns, console=console, expand=True)
