"""One run of Weights & Biases: its curves, files, tables, pictures, and what it used and made.

Every method is safe to call: whatever fails is told as an event and never costs a result.
"""

import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from src.core.files import write_atomically
from src.core.redaction import redacted
from src.core.result import Result, Table
from src.report.drawing import names

ROWS = 10_000  # of a table; W&B's own limit for showing one
#: Last part of a curve's name -> which of its values the summary shows.
BEST = {"accuracy": "max", "mean_accuracy": "max", "fitness": "max", "loss": "min"}


def plain_name(series: str) -> str:
    """A series as W&B's panels can be asked for it: ``weak, retrained`` is ``weak_retrained``."""
    return re.sub(r"[^\w./-]+", "_", series).strip("_")


def attempt(what: str, act: Callable[[], Any], events: list[str]) -> None:
    """Do something for a view; where it fails that is an event, told once."""
    try:
        act()
    except Exception as error:
        event = f"W&B: {what} could not be sent ({short(error)}); the result on disk is complete"
        if event not in events:
            events.append(event)


class WandbRun:
    """One run. Every method is safe to call whatever state W&B is in.

    ``run`` is W&B's own object, None if it could not be started; ``events`` say what went wrong; ``where`` is the run's
    address, or its folder and how to send it later; ``mode`` is that of the run.
    """

    def __init__(self, run: Any = None, events: Sequence[str] = (), where: str = "", mode: str = "disabled") -> None:
        self.run = run
        self.events = list(events)
        self.where = where
        self.mode = mode
        self.failed = False
        self._defined: set[str] = set()
        self._passed_on = 0

    def log(self, values: Mapping[str, Any], step: int | None = None) -> None:
        """Points of curves; ``strong/loss`` is drawn over ``strong/step`` where there is one, so that several trainings
        share a run, else over ``step``, which must never go back."""
        if self.run is None:
            return

        def send() -> None:
            for axis in values:
                series, _, last = axis.rpartition("/")
                if last == "step":
                    self._define(series, values)
            self.run.log(dict(values), step=step)

        self._try("log", send)

    def _define(self, series: str, values: Mapping[str, Any]) -> None:
        """Over which axis curves are drawn, and which of their values the summary has."""
        axis = f"{series}/step"
        if axis not in self._defined:
            self.run.define_metric(axis, hidden=True)
            self.run.define_metric(f"{series}/*", step_metric=axis)
        for name in values:
            best = BEST.get(name.rpartition("/")[2])
            if best and name.startswith(f"{series}/") and name not in self._defined:
                self.run.define_metric(name, step_metric=axis, summary=best)
        self._defined |= {axis, *values}

    def publish(self, result: Result, folder: Path) -> list[str]:
        """Send metrics and verdict (summary), tables and pictures; returns the events not yet returned."""
        if self.run is None:
            return self._news()
        self.failed = result.status != "ok"
        self._try("summary", lambda: self.run.summary.update(_summary(result)))
        for name, table in result.tables.items():
            self._try(f"table '{name}'", partial(self._log_table, name, table))
        self._try("figures", lambda: self._log_figures(result, folder))
        return self._news()

    def save(self, name: str, content: str | Mapping[str, Any] | Path) -> None:
        """A file of the run, from text, plain values or a copy; nothing names where it came from."""
        if self.run is None:
            return

        def write() -> None:
            path = Path(self.run.dir) / name
            path.parent.mkdir(parents=True, exist_ok=True)
            text = content.read_text(encoding="utf-8") if isinstance(content, Path) else content
            path.write_text(redacted(text if isinstance(text, str) else json.dumps(text)), encoding="utf-8")
            self.run.save(str(path), base_path=self.run.dir, policy="end")

        self._try(name, write)

    def link(self, artifact: Any, *, made: bool) -> None:
        """Say that the run made an artifact, or used it.

        Args:
            artifact: a :class:`wandb.Artifact`. An equal one that is at the server already is taken for it.
        """
        if self.run is None:
            return
        # W&B's use_artifact refuses offline what `wandb sync` can do, and waits for the server online
        send = self.run.log_artifact if made else partial(self.run._log_artifact, is_user_created=True)
        self._try(f"artifact {artifact.name}", partial(send, artifact, **({} if made else {"use_after_commit": True})))

    def finish(self) -> list[str]:
        """Close the run, and with it its files and threads; safe to call twice. Returns the events not yet returned."""
        if self.run is not None:
            run, self.run = self.run, None
            self._try("finish", lambda: run.finish(exit_code=int(self.failed)))
            self._try("logs", lambda: _redact_logs(Path(run.dir).parent))
        return self._news()

    def _news(self) -> list[str]:
        news = self.events[self._passed_on :]
        self._passed_on = len(self.events)
        return news

    def _log_table(self, name: str, table: Table) -> None:
        import wandb

        first = zip(*(values[:ROWS] for values in table.values()), strict=True)
        rows: list[Any] = [[_cell(value) for value in values] for values in first]
        shown = wandb.Table(columns=list(table), data=rows, allow_mixed_types=True)
        # bound first it is a file of the run; else it would be an artifact, with a copy elsewhere and the path of that
        shown.bind_to_run(self.run, f"tables/{name}", self.run.step)
        self.run.log({f"tables/{name}": shown})

    def _log_figures(self, result: Result, folder: Path) -> None:
        import wandb

        from src.report.static import write_figures

        files = {name: folder / "figures" / f"{name}.png" for name in names(result)}
        if not all(path.exists() for path in files.values()):
            files, problems = write_figures(result, folder)
            self.events += [problem for problem in problems if problem not in self.events]
        pictures = {f"figures/{name}": wandb.Image(str(path)) for name, path in files.items()}
        if pictures:
            self.run.log(pictures)

    def _try(self, what: str, act: Callable[[], Any]) -> None:
        attempt(what, act, self.events)


def _redact_logs(folder: Path) -> None:
    """W&B's own logs name the folders of this machine; that of its service is a link to where it goes at the end."""
    for link in [log for log in folder.glob("logs/*.log") if log.is_symlink()]:
        link.unlink()
    for log in folder.glob("logs/*.log"):
        write_atomically(log, redacted(log.read_text(encoding="utf-8", errors="replace")))


def _summary(result: Result) -> dict[str, Any]:
    summary: dict[str, Any] = {"status": result.status, "verdict": result.verdict, "verdict_kind": result.verdict_kind}
    summary |= {"events": list(result.events), "identity": result.identity}
    for name, estimate in result.metrics.items():
        summary |= {key: value for key, value in estimate.columns(name).items() if math.isfinite(value)}
    return summary


def _cell(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value if value is None or isinstance(value, (bool, int, float, str)) else str(value)


def short(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())[:160]}"
