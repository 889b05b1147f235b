"""What a task tells its readers while it runs, and all views of its result when it has ended."""

import csv
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, Protocol, TextIO

from src.core import result as results
from src.core.result import Result
from src.core.running import Running
from src.core.store import Key
from src.report.progress import Advance, Progress
from src.report.screen import PAGE


class View(Protocol):
    """Something else that a job's curves and its result are told."""

    def log(self, series: str, step: int, metrics: Mapping[str, float]) -> None:
        """Points of curves."""

    def publish(self, result: Result) -> list[str]:
        """What was found; returns what went wrong."""


class Session:
    """The reporter of one job: progress, events, learning curves; at the end the screen, the page, and W&B.

    Args:
        config: the job's configuration, as W&B shows it.
        running: its ``logger`` and ``report`` decide which views there are.
        folder: the job's folder.
        quiet: nothing is printed and no page is written (a job of a sweep, which ends in one page over all).
        views: further ones, beside the page and W&B.
        environment: what the job runs on, see :mod:`src.jobs.environment`.
    """

    def __init__(
        self,
        config: Mapping[str, Any],
        running: Running,
        folder: Path,
        quiet: bool = False,
        environment: Mapping[str, Any] | None = None,
        views: Sequence[View] = (),
    ) -> None:
        self.config = config
        self.running = running
        self.folder = folder
        self.quiet = quiet
        self.views = views
        self.progress = Progress("silent" if quiet else "auto")
        self.events: list[str] = []
        self._curves: TextIO | None = None
        folder.mkdir(parents=True, exist_ok=True)
        self._wandb: Any = None
        if running.logger.name == "wandb" and running.logger.mode != "disabled":
            from src.report.wandb_job import WandbJob

            self._wandb = WandbJob(config, running, folder, environment or {})

    @property
    def seconds(self) -> dict[str, float]:
        """Wall time of each stage."""
        return {name: round(took, 2) for name, took in self.progress.seconds.items()}

    def stage(self, name: str, total: int | None = None) -> AbstractContextManager[Advance]:
        """A part of the job, with its own bar; see :meth:`Progress.stage`."""
        return self.progress.stage(name, total)

    def found(self, name: str, digest: str) -> None:
        """A stage had nothing to do: an earlier job, another one or another process left its product in the store."""
        self.progress.seconds.setdefault(name, 0.0)
        self.progress.note(f"{name:<30}     in store ({digest[:8]})")

    def event(self, text: str) -> None:
        """A fallback that was taken or a reduction that was made: shown with the result."""
        if text not in self.events:
            self.events.append(text)

    def making(self, key: Key, folder: Path) -> AbstractContextManager[None]:
        """An entry of the store is made in ``folder`` meanwhile."""
        return self._wandb.making(key, folder) if self._wandb else nullcontext()

    def log(
        self, series: str, step: int, metrics: Mapping[str, float], costs: Mapping[str, float] | None = None
    ) -> None:
        """Points of learning curves: to ``curves.csv`` and, where chosen, to W&B, at once.

        Args:
            costs: what no two runs agree on (seconds, memory) and what is known before (learning rate): for W&B alone.
        """
        if self._curves is None:
            self._curves = (self.folder / "curves.csv").open("w", newline="", encoding="utf-8")
            csv.writer(self._curves).writerow(["series", "step", "metric", "value"])
        csv.writer(self._curves).writerows([series, step, name, value] for name, value in metrics.items())
        self._curves.flush()
        for view in self.views:
            view.log(series, step, metrics)
        if self._wandb:
            self._wandb.log(series, {**metrics, **(costs or {}), "step": step})

    def finish(self, result: Result) -> None:
        """Write the result, then its views; a view that fails becomes an event and never costs the result."""
        if self._curves:
            self._curves.close()
        results.save(result, self.folder)
        (self.folder / PAGE).unlink(missing_ok=True)  # of an earlier run of the same job
        before = len(result.events)
        if result.status == "ok" and self.running.report.name == "page" and not self.quiet:
            self._write_page(result)
        for view in self.views:
            result.events += view.publish(result)
        where = self._wandb.finish(result) if self._wandb else ""
        if len(result.events) > before:
            results.save(result, self.folder)
        if not self.quiet:
            from src.report.screen import show

            show(result, self.folder, also={"W&B": where} if where else None)

    def _write_page(self, result: Result) -> None:
        try:
            from src.report.page import write_page
            from src.report.static import write_figures

            _, problems = write_figures(result, self.folder)
            result.events += problems
            write_page(result, self.folder)
        except Exception as error:
            result.events.append(f"the page could not be written ({type(error).__name__}: {error})")
