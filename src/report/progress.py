"""One place for progress: a bar per stage on a terminal, a line per finished stage elsewhere, or nothing."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Literal

from src.report.words import duration

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress as Bars

INTERVAL = 0.05  # seconds between updates of a bar, so that `advance` may be called for every batch
NAME_WIDTH = 30


class Progress:
    """Tells how far a job is, and how long its stages took. Create one per job and pass it down.

    Args:
        mode: ``bars`` (live, for a terminal), ``lines`` (one line per finished stage), ``silent`` (only ``seconds``),
            or ``auto``: bars where there is a terminal, else lines.
        console: where to write; the standard error stream by default, so that results can be piped.

    Attributes:
        seconds: per stage, in the order in which they began; stages of one name are added up.
    """

    def __init__(
        self, mode: Literal["auto", "bars", "lines", "silent"] = "auto", console: Console | None = None
    ) -> None:
        from rich.console import Console

        self.console = console or Console(stderr=True, highlight=False)
        live = self.console.is_terminal and not self.console.is_dumb_terminal
        self.mode = mode if mode != "auto" else "bars" if live else "lines"
        self.seconds: dict[str, float] = {}
        self._bars: Bars | None = None
        self._depth = 0

    @contextmanager
    def stage(self, name: str, total: int | None = None) -> Iterator[Advance]:
        """A part of the job; stages may be nested. A finished stage stays visible with its time.

        >>> with progress.stage("strong: training", 12) as advance:
        ...     advance(loss=0.31, accuracy=0.97)
        """
        self.seconds.setdefault(name, 0.0)
        start = time.perf_counter()
        advance = self._open(name, total)
        ended = "failed"
        try:
            yield advance
            ended = ""
        except (KeyboardInterrupt, GeneratorExit):
            ended = "interrupted"
            raise
        finally:
            took = time.perf_counter() - start
            self.seconds[name] += took
            self._close(advance, name, took, ended)

    def note(self, text: str) -> None:
        """A line of text that does not disturb the bars."""
        if self.mode != "silent":
            self.console.print(text, markup=False, soft_wrap=True)

    def _open(self, name: str, total: int | None) -> Advance:
        self._depth += 1
        if self.mode != "bars":
            return Advance(total)
        if self._bars is None:
            self._bars = _bars(self.console)
            self._bars.start()
        label = ("  " * (self._depth - 1) + name)[:NAME_WIDTH].ljust(NAME_WIDTH)
        return Advance(total, self._bars, label)

    def _close(self, advance: Advance, name: str, took: float, ended: str) -> None:
        self._depth -= 1
        if self._bars is not None:
            advance.close(ended)
            if self._depth == 0:
                bars, self._bars = self._bars, None
                bars.stop()  # shows the cursor again and leaves the finished bars where they are
        elif self.mode == "lines":
            line = f"{name:<{NAME_WIDTH}} {advance.count:>12} {duration(took):>12}"
            self.note("  ".join(part for part in (line, ended, advance.postfix) if part))


class Advance:
    """Called when a piece of a stage is done: ``advance()``, ``advance(8)``, ``advance(loss=0.3)``. Thread-safe."""

    def __init__(self, total: int | None, bars: Bars | None = None, label: str = "") -> None:
        self.total = total
        self.done = 0
        self.postfix = ""
        self._due = 0.0
        self._lock = threading.Lock()
        self._bars = bars
        self._task = bars.add_task(label, total=total, count=self.count, ended="", postfix="") if bars else None

    def __call__(self, n: int = 1, **postfix: object) -> None:
        with self._lock:
            self.done += n
            if postfix:
                self.postfix = "  ".join(f"{name} {_short(value)}" for name, value in postfix.items())
            now = time.monotonic()
            if self._bars is None or now < self._due:
                return
            self._due = now + INTERVAL
        self._draw()

    @property
    def count(self) -> str:
        if self.total is None:
            return str(self.done) if self.done > 1 else ""
        return f"{self.done}/{self.total}"

    def close(self, ended: str) -> None:
        """Leave the bar as it is; one that stopped early but well is as finished as any, and its count tells."""
        done = max(self.done, 1)
        if not ended:
            self._draw(total=done, completed=done)
        elif self._bars is not None and self._task is not None:
            self._draw(ended=f"{ended}  ")
            self._bars.stop_task(self._task)
        self._bars = None

    def _draw(self, **fields: object) -> None:
        from rich.markup import escape

        if self._bars is not None and self._task is not None:
            values = {"completed": self.done, "count": self.count, "postfix": escape(self.postfix), **fields}
            self._bars.update(self._task, **values)  # type: ignore[arg-type]


def _bars(console: Console) -> Bars:
    from rich import progress
    from rich.table import Column
    from rich.text import Text

    class Took(progress.ProgressColumn):
        def render(self, task: progress.Task) -> Text:
            return Text(duration(task.elapsed or 0.0).rjust(11), "dim")

    return progress.Progress(
        progress.TextColumn("{task.description}", markup=False, table_column=Column(no_wrap=True)),
        progress.BarColumn(bar_width=24, complete_style="cyan", finished_style="green"),
        progress.TextColumn("{task.fields[count]:>9}", markup=False),
        Took(),
        progress.TextColumn(
            "[red]{task.fields[ended]}[/red][dim]{task.fields[postfix]}[/dim]",
            table_column=Column(no_wrap=True, ratio=1),
        ),
        console=console,
        refresh_per_second=8,
        expand=True,
    )


def _short(value: object) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)
