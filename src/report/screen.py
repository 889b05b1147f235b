"""A result on the screen: verdict, tables, what was reduced, and where the rest is."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from src.core.estimate import Estimate
from src.core.result import FILE, Result, Table
from src.report.cells import Column, columns, length
from src.report.words import estimated, plain_text, pretty, quantity, unit_of

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table as RichTable

PAGE = "page.html"
TINY = "debug=tiny: this shows that the job runs; its numbers mean nothing"
PLAIN_WIDTH = 120  # without a terminal nobody's window is too narrow
ROWS = 40  # of one table; the page and the parquet file have them all
GAP = 3  # characters between two columns

_VERDICTS = {
    "success": ("✓", "bold green"),
    "no success": ("✗", "bold yellow"),
    "no verdict": ("○", "bold magenta"),
    "failed": ("✗", "bold red"),
    "interrupted": ("○", "bold magenta"),
}
_ASCII = str.maketrans({"✓": "+", "✗": "x", "○": "o", "–": "-", "•": "*", "…": "."})


def show(
    result: Result, folder: Path, console: Console | None = None, *, also: Mapping[str, str] | None = None
) -> None:
    """Print verdict, the tables named in ``result.screen`` (without any: the metrics), events, and where files lie.

    ``console`` is standard output by default; ``also``: further lines for the end, ``{"W&B": "offline run in ..."}``.
    """
    console = console or _console()
    console.print()
    say_verdict(result, console)
    if result.config.get("tiny"):
        _say(TINY, console, "dim")
    tables = [name for name in result.screen if name in result.tables]
    for name in tables:
        _print_table(name, result, console)
    if not tables and result.metrics:
        console.print()
        console.print(_grid(columns(_metrics_table(result.metrics, result.units), {})))
    if result.events:
        console.print()
        _say("What was reduced or replaced", console, "bold")
        for event in result.events:
            _say(f"  • {plain_text(event)}", console)
    console.print()
    page = folder / PAGE
    places = {"page": _near(page)} if page.exists() else {}
    for what, where in {**places, "result": _near(folder / FILE), **(also or {})}.items():
        _say(f"{what:<7} {where}", console, soft=True)


def say_verdict(result: Result, console: Console) -> None:
    """The verdict in its colour; for a job that failed, its error."""
    kind = result.verdict_kind if result.status == "ok" else result.status
    mark, style = _VERDICTS.get(kind, ("", "bold"))
    said = result.verdict if result.status == "ok" else f"{result.status}: {result.error}"
    if said:
        _say(f"{mark} {plain_text(said)}".strip(), console, style)


def _print_table(name: str, result: Result, console: Console) -> None:
    caption, whole = result.captions.get(name, ""), f"tables/{name}.parquet"
    print_table(
        result.titles.get(name) or pretty(name), result.tables[name], result.units_of(name), caption, whole, console
    )


def print_table(
    title: str, table: Table, units: Mapping[str, str], caption: str, whole: str, console: Console | None = None
) -> None:
    """Print a table as wide as the window, ``whole`` says where the rows are that are not shown."""
    console = console or _console()
    count = length(table)
    console.print()
    _say(title, console, "bold")
    shown = columns(table, units, ROWS)
    fitting = _fitting(shown, console.width)
    console.print(_grid(shown[:fitting], console.width))
    if fitting < len(shown):
        hidden = ", ".join(plain_text(column.title) for column in shown[fitting:])
        _say(f"not shown in a window of this width: {hidden}", console, "dim")
    if count > ROWS:
        _say(f"{ROWS} of {count:,} rows; all of them: {whole}", console, "dim")
    if caption:
        _say(plain_text(caption), console, "dim")


def _grid(shown: list[Column], width: int = PLAIN_WIDTH) -> RichTable:
    """The columns side by side; where that is too wide, intervals go below their values and titles are broken."""
    from rich import box
    from rich.table import Table as RichTable
    from rich.text import Text

    beside_each = ([len(f"{cell.text} {cell.interval}".strip()) for cell in column.cells] for column in shown)
    widest = [max(len(column.title), *lengths, 0) for column, lengths in zip(shown, beside_each, strict=True)]
    beside = " " if sum(widest) + GAP * (len(shown) - 1) <= width else "\n"
    widths = widest if beside == " " else _shared(width, shown)
    grid = RichTable(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, header_style="dim")
    for column, wide in zip(shown, widths, strict=True):
        grid.add_column(Text(plain_text(column.title)), justify="right" if column.numeric else "left", width=wide)
    for cells in zip(*(column.cells for column in shown), strict=True):
        grid.add_row(
            *(Text(cell.text).append(beside + cell.interval if cell.interval else "", "dim") for cell in cells)
        )
    return grid


def _fitting(shown: list[Column], width: int) -> int:
    """How many of the columns, from the left, fit a window at their narrowest."""
    used = -GAP
    for index, column in enumerate(shown):
        used += _narrowest(column) + GAP
        if used > width and index:
            return index
    return len(shown)


def _shared(width: int, shown: list[Column]) -> list[int]:
    """Each column at its narrowest, and what is left of the window given to the first columns that need more."""
    widths = [_narrowest(column) for column in shown]
    left = width - sum(widths) - GAP * (len(shown) - 1)
    for index, column in enumerate(shown):
        wish = max((len(cell.text) for cell in column.cells), default=0)
        more = max(0, min(left, wish - widths[index]))
        widths[index] += more
        left -= more
    return widths


def _narrowest(column: Column) -> int:
    words = [word for text in (column.title, *(cell.text for cell in column.cells)) for word in text.split()]
    words += [cell.interval for cell in column.cells]
    return max(map(len, words), default=1)


def _metrics_table(metrics: Mapping[str, Estimate], units: Mapping[str, str]) -> Table:
    written = []
    for name, estimate in metrics.items():
        unit = unit_of(name, units)
        value, bounds = estimated(estimate, unit)
        written.append(f"{quantity(value, unit)} {bounds}".strip())
    return {"metric": [pretty(name) for name in metrics], "value": written}


def _say(text: str, console: Console, style: str = "", soft: bool = False) -> None:
    # a console that is not UTF-8 would raise on our marks or on a class name
    encoding = console.encoding or "utf-8"
    if not encoding.lower().startswith("utf"):
        text = text.translate(_ASCII).encode(encoding, "replace").decode(encoding)
    console.print(text, style=style or None, markup=False, highlight=False, soft_wrap=soft)


def _console() -> Console:
    from rich.console import Console

    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=max(console.width, PLAIN_WIDTH))


def _near(path: Path) -> str:
    """Relative to where the user stands if below it, else absolute."""
    path = path.absolute()
    here = Path(os.getcwd())
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)
