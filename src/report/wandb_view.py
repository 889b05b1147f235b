"""A job's view on Weights & Biases: one run per job, offline unless someone is logged in.

W&B is only a view. Whatever fails here is told as an event and never costs a result or waits for a keyboard.
"""

import math
import netrc
import os
import shlex
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from src.core.files import write_atomically
from src.core.redaction import redacted
from src.core.result import Result, Table
from src.report.drawing import names

ROWS = 10_000  # of a table; W&B's own limit for showing one
PATIENCE = 20.0  # seconds to wait for the server at the start
FINISH = 120.0  # and at the end; what was not sent by then stays in the run's folder for `wandb sync`


def logged_in() -> bool:
    """Whether a key is at hand, in the environment or in the netrc file; asks nobody and imports nothing."""
    if os.environ.get("WANDB_API_KEY"):
        return True
    host = urlsplit(os.environ.get("WANDB_BASE_URL", "https://api.wandb.ai")).hostname or ""
    for path in (os.environ.get("NETRC"), "~/.netrc", "~/_netrc"):
        try:
            if path and netrc.netrc(os.path.expanduser(path)).authenticators(host):
                return True
        except (OSError, netrc.NetrcParseError):
            continue
    return False


def choose_mode(wish: str = "auto") -> tuple[str, str]:
    """(mode, event): WANDB_MODE if set, else the wish; ``auto`` is online when logged in and offline otherwise."""
    mode = os.environ.get("WANDB_MODE") or wish
    if mode == "dryrun":  # W&B's old name
        mode = "offline"
    if mode in ("offline", "disabled"):
        return mode, ""
    if logged_in():
        return "online", ""
    # W&B would ask for a key and wait
    event = "W&B: not logged in, so the run was kept offline (log in with: wandb login)" if mode == "online" else ""
    return "offline", event


class WandbRun:
    """One job's run. Every method is safe to call whatever state W&B is in.

    ``run`` is W&B's own object, None if it could not be started; ``events`` say what went wrong; ``where`` is the run's
    address, or its folder and how to send it later.
    """

    def __init__(self, run: Any = None, events: Sequence[str] = (), where: str = "") -> None:
        self.run = run
        self.events = list(events)
        self.where = where
        self._axes: set[str] = set()
        self._exit_code = 0
        self._passed_on = 0

    def log(self, values: Mapping[str, Any], step: int | None = None) -> None:
        """Points of curves; ``strong/loss`` is drawn over ``strong/step`` where there is one, so that several trainings
        share a run, else over ``step``, which must never go back."""
        if self.run is None:
            return

        def send() -> None:
            for axis in values:
                series, _, name = axis.rpartition("/")
                if name == "step" and axis not in self._axes:
                    self._axes.add(axis)
                    self.run.define_metric(axis, hidden=True)
                    self.run.define_metric(f"{series}/*", step_metric=axis)
            self.run.log(dict(values), step=step)

        self._try("log", send)

    def publish(self, result: Result, folder: Path) -> list[str]:
        """Send metrics and verdict (summary), tables and pictures; returns the events not yet returned."""
        if self.run is None:
            return self._news()
        self._exit_code = int(result.status != "ok")
        self._try("summary", lambda: self.run.summary.update(_summary(result)))
        for name, table in result.tables.items():
            self._try(f"table '{name}'", partial(self._log_table, name, table))
        self._try("figures", lambda: self._log_figures(result, folder))
        return self._news()

    def finish(self) -> list[str]:
        """Close the run, and with it its files and threads; safe to call twice. Returns the events not yet returned."""
        if self.run is not None:
            run, self.run = self.run, None
            self._try("finish", lambda: run.finish(exit_code=self._exit_code))
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
        self.run.log({f"tables/{name}": wandb.Table(columns=list(table), data=rows, allow_mixed_types=True)})

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
        try:
            act()
        except Exception as error:
            event = f"W&B: {what} could not be sent ({_short(error)}); the result on disk is complete"
            if event not in self.events:
                self.events.append(event)


def start(
    folder: Path,
    *,
    project: str,
    group: str = "",
    job_type: str = "",
    tags: Sequence[str] = (),
    name: str = "",
    mode: str = "auto",
    config: Mapping[str, Any] | None = None,
) -> WandbRun:
    """Begin a job's run in ``folder/wandb``; the variable WANDB_MODE is stronger than ``mode``.

    Never raises, prompts or waits for long; see ``WandbRun.events``.
    """
    chosen, event = choose_mode(mode)
    events = [event] if event else []
    if chosen == "disabled":
        return WandbRun(events=events)
    os.environ.setdefault("WANDB_SILENT", "true")  # read when wandb is imported
    fields = {
        "project": project,
        "group": group or None,
        "job_type": job_type or None,
        "tags": [tag[:64] for tag in tags if tag],  # longer ones are refused
        "name": name or None,
        "config": dict(config or {}),
    }
    for attempt in dict.fromkeys((chosen, "offline")):
        try:
            run = _init(folder, attempt, fields)
            sync = f"offline, send it with: wandb sync {shlex.quote(str(Path(run.dir).parent))}"
            return WandbRun(run, events, str(run.url) if attempt == "online" else sync)
        except Exception as error:
            kept = "; the run was kept offline" if attempt == "online" else "; there is no W&B run"
            events.append(f"W&B: {attempt} run could not be started ({_short(error)}){kept}")
    return WandbRun(events=events)


def _init(folder: Path, mode: Any, fields: Mapping[str, Any]) -> Any:
    import wandb

    folder.mkdir(parents=True, exist_ok=True)
    settings: dict[str, Any] = {
        "silent": True,
        "console": "off",  # our screen is not W&B's to copy
        "init_timeout": PATIENCE,
        "finish_timeout": FINISH,
        "disable_git": True,  # job.py records the revision
        "disable_code": True,
        "x_disable_stats": True,
        "x_disable_meta": True,
        "x_save_requirements": False,
    }
    known = {key: value for key, value in settings.items() if key in wandb.Settings.model_fields}
    # create_new: a run that an earlier job of this process left open is not reused silently
    return wandb.init(dir=folder, mode=mode, reinit="create_new", settings=wandb.Settings(**known), **fields)


def _redact_logs(folder: Path) -> None:
    """W&B's own logs name the folders of this machine."""
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


def _short(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())[:160]}"
