"""Pieces of a page. Every text that comes from a result passes through `text`: class names may be hostile."""

from __future__ import annotations

import html
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from src.core.estimate import Estimate
from src.core.result import Result, Table
from src.report.cells import Cell, Column, columns
from src.report.words import duration, interval, plain_text, pretty, quantity, unit_of, writer

ROWS = 500  # of a table on the page; the parquet file has them all

# pictures only from the page itself, scripts and styles only inline: nothing is ever requested
_POLICY = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data: blob:"
_HERE = Path(__file__).parent
_MARKS = {"success": "✓", "no success": "✗", "no verdict": "○", "failed": "✗", "interrupted": "○"}


def text(value: Any) -> str:
    """Escaped for HTML, also inside quotes."""
    return html.escape(plain_text(value))


def document(
    title: str, body: Iterable[str], figures: list[Mapping[str, Any]], explorer: Mapping[str, Any] | None = None
) -> str:
    """The whole file; plotly's script only where there is a figure to draw, the explorer's where there is one."""
    style, script = _file("page.css"), _file("page.js")
    if figures or explorer:
        from plotly.offline import get_plotlyjs

        script = f"{get_plotlyjs()}</script>\n<script>{script}"
    explored = ""
    if explorer:
        style += _file("explorer.css")
        explored = f"{_embedded('explorer-data', explorer)}\n<script>{_file('explorer.js')}</script>\n"
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="{_POLICY}">
<title>{text(title)}</title>
<style>
{style}</style>
</head>
<body>
{"".join(body)}
{_embedded("figures", figures)}
<script>{script}</script>
{explored}</body>
</html>
"""


def _file(name: str) -> str:
    return (_HERE / name).read_text(encoding="utf-8")


def _embedded(name: str, data: Any) -> str:
    # inside <script> only the end of the element must not appear
    said = json.dumps(data, allow_nan=False, separators=(",", ":")).replace("<", "\\u003c")
    return f'<script type="application/json" id="{name}">{said}</script>'


def verdict(result: Result) -> str:
    """The banner: its colour says how it ended before the sentence is read."""
    kind = result.verdict_kind if result.status == "ok" else result.status
    said = result.verdict if result.status == "ok" else result.error
    if not said and not kind:
        return ""
    label = f"<b>{text(kind)}</b>" if kind else ""
    return (
        f'<div class="verdict {css_class(kind)}"><span class="mark" aria-hidden="true">{_MARKS.get(kind, "→")}</span>'
        f"<div>{label}<p>{text(said)}</p></div></div>"
    )


def css_class(kind: str) -> str:
    return kind.replace(" ", "-") if kind in _MARKS else "found"


def metrics(found: Mapping[str, Estimate], units: Mapping[str, str]) -> str:
    """A card per metric: the value, its interval, and how many units stand behind it."""
    cards = []
    for name, estimate in found.items():
        unit = unit_of(name, units)
        write = writer([estimate.value], unit)
        value, word = write(estimate.value), quantity("", unit).strip()
        bounds = interval(estimate.low, estimate.high, write).strip("[]").replace(", ", " to ")
        count = f"{estimate.n:,} {text(estimate.unit)}" if estimate.n else ""
        behind = "<br>".join(part for part in (bounds, count) if part)
        cards.append(
            f'<div class="card metric"><div class="name">{text(pretty(name))}</div>'
            f'<div class="value">{value}{"" if unit == "%" else " "}<small>{text(word)}</small></div>'
            f'<div class="bounds">{behind}</div></div>'
        )
    return f'<div class="metrics">{"".join(cards)}</div>' if cards else ""


def table(name: str, content: Table, units: Mapping[str, str], caption: str = "", file: str = "") -> str:
    """A sortable table with merged intervals, of at most ``ROWS`` rows; ``file`` is where all of them are."""
    count = len(next(iter(content.values()), []))
    found = columns(content, units, ROWS)
    head = "".join(
        f'<th scope="col"{_kind(column)}><button type="button">{text(column.title)}</button></th>' for column in found
    )
    rows = (
        "".join(_cell(column, cell) for column, cell in zip(found, cells, strict=True))
        for cells in zip(*(column.cells for column in found), strict=True)
    )
    body = "".join(f"<tr>{row}</tr>\n" for row in rows)
    described = f'<p class="caption">{text(caption)}</p>' if caption else ""
    more = ""
    if count > ROWS:
        more = (
            f'<p class="more">The first {ROWS:,} of {count:,} rows; all of them are in <code>{text(file)}</code>.</p>'
        )
    return (
        f'<div class="card table"><h3>{text(pretty(name))}</h3>'
        f"{described}"
        f'<div class="scroll" tabindex="0"><table><thead><tr>{head}</tr></thead><tbody>\n{body}</tbody></table></div>'
        f"{more}</div>"
    )


def _kind(column: Column) -> str:
    return ' class="number"' if column.numeric else ""


def _cell(column: Column, cell: Cell) -> str:
    said = text(cell.text)
    if cell.target:
        said = f'<a href="{html.escape(cell.target)}">{said}</a>'
    if cell.text in _MARKS:
        said = f'<span class="tag {css_class(cell.text)}">{said}</span>'
    if cell.interval:
        said += f" <i>{text(cell.interval)}</i>"
    kind = ' class="number"' if column.numeric else _text_kind(cell)
    return f'<td{kind} data-sort="{html.escape(str(cell.sort))}">{said}</td>'


def _text_kind(cell: Cell) -> str:
    return ' class="text long"' if len(cell.text) > 80 else ' class="text"' if len(cell.text) > 24 else ""


def events(found: list[str]) -> str:
    if not found:
        return '<p class="card plain dim">Nothing was reduced or replaced.</p>'
    return f'<ul class="card events">{"".join(f"<li>{text(event)}</li>" for event in found)}</ul>'


def details(title: str, content: str, opened: bool = False) -> str:
    return f'<details class="card"{" open" if opened else ""}><summary>{text(title)}</summary>{content}</details>'


def pairs(found: Mapping[str, Any]) -> str:
    """Names and values; nested mappings by dotted names."""
    return f"<dl>{''.join(f'<dt>{text(name)}</dt><dd>{text(value)}</dd>' for name, value in flat(found))}</dl>"


def flat(found: Mapping[str, Any], prefix: str = "") -> Iterable[tuple[str, Any]]:
    for name, value in found.items():
        if isinstance(value, Mapping) and value:
            yield from flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def stages(seconds: Mapping[str, float]) -> str:
    """What took how long, as bars."""
    longest = max(seconds.values(), default=0.0) or 1.0
    rows = (
        f"<span>{text(name)}</span><span>{duration(took)}</span>"
        f'<span class="bar" style="width:{100 * took / longest:.1f}%"></span>'
        for name, took in seconds.items()
    )
    return f'<div class="stages">{"".join(rows)}</div>'


def yaml(config: Mapping[str, Any]) -> str:
    """The configuration as YAML, whatever it holds."""
    import yaml as library

    plain = json.loads(json.dumps(config, default=str))
    return html.escape(library.safe_dump(plain, sort_keys=False, allow_unicode=True, width=100))
