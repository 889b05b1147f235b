"""One job's result as one HTML file that needs nothing else: it opens by a double click, offline, years later."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from src.core.files import write_atomically
from src.core.result import Figure, Result, Table
from src.report import explorer, html
from src.report.figures import plotly
from src.report.screen import PAGE
from src.report.words import pretty

if TYPE_CHECKING:
    import numpy as np


SECTIONS = 3  # from so many on they have a line of links of their own
LONG = 40  # rows; a longer table of a section is folded, and one that a figure shows


def write_page(result: Result, folder: Path) -> Path:
    """Write ``folder/page.html`` and return its path."""
    path = folder / PAGE
    write_atomically(path, render(result))
    return path


def render(result: Result) -> str:
    """The page as text. A figure that cannot be drawn is named with the reason; it does not cost the page."""
    drawn: list[Mapping[str, Any]] = []
    sections: dict[str, list[str]] = {}
    for figure in result.figures:
        sections.setdefault(figure.section, []).append(_figure(figure, result, drawn))
    explored = explorer.read(result)
    # the explorer has its tables' rows, all of them
    inside = (result.explorer.table, result.explorer.curves) if result.explorer else ()
    shown = [name for name in result.tables if name not in inside]
    first = [name for name in result.screen if name in shown]
    pictured = {figure.table for figure in result.figures}
    others: dict[str, list[str]] = {}
    for name in shown:
        if name not in first:
            section = result.sections.get(name, "")
            table = _table(name, result)
            if section and (name in pictured or _length(result.tables[name]) > LONG):
                table = html.details(f"Table: {pretty(name)}", table)
            others.setdefault(section, []).append(table)
    loose, more = sections.pop("", []), others.pop("", [])
    headings = list(dict.fromkeys([*sections, *others]))
    body = [
        f'<header><div class="eyebrow">{html.text(result.task)}</div><h1>{html.text(result.name)}</h1>',
        html.verdict(result),
        html.metrics(result.metrics, result.units),
        _contents(result, bool(first), headings, bool(loose), bool(more)),
        "</header>\n<main>",
    ]
    if first:
        body += ['<h2 id="results">Results</h2>', *(_table(name, result) for name in first)]
    if explored and result.explorer:
        caption = result.captions.get(result.explorer.table, "")
        body += ['<h2 id="explore">Explore</h2>', explorer.block(explored, caption)]
    for number, heading in enumerate(headings, 1):
        body += [f'<h2 id="section-{number}">{html.text(heading)}</h2>', *_grid(sections.get(heading, []))]
        body += others.get(heading, [])
    if loose:
        body += [f'<h2 id="figures-of-it">{"More figures" if headings else "Figures"}</h2>', *_grid(loose)]
    if more:
        body += ['<h2 id="tables">More tables</h2>', *more]
    body += ['<h2 id="events">What was reduced or replaced</h2>', html.events(result.events), _provenance(result)]
    body += ["</main>"]
    return html.document(result.name, body, drawn, explored if explored and explored["columns"] else None)


def _length(table: Table) -> int:
    return len(next(iter(table.values()), []))


def _grid(figures: list[str]) -> list[str]:
    return ['<div class="figures">', *figures, "</div>"] if figures else []


def _contents(result: Result, first: bool, headings: list[str], figures: bool, tables: bool) -> str:
    """Links to the parts of the page; three or more sections of its own stand in a line by themselves."""
    count = len(result.events)
    sections = {f"section-{number}": heading for number, heading in enumerate(headings, 1)}
    links = {
        "results": "Results" if first else "",
        "explore": "Explore" if result.explorer else "",
        **({} if len(headings) >= SECTIONS else sections),
        "figures-of-it": ("More figures" if headings else "Figures") if figures else "",
        "tables": "More tables" if tables else "",
        "events": f"{count} thing{'s' if count != 1 else ''} reduced or replaced" if count else "Nothing reduced",
        "provenance": "Provenance" if _traced(result) else "",
    }
    listed = _links("sections", sections) if len(headings) >= SECTIONS else ""
    return listed + _links("", links)


def _links(kind: str, links: Mapping[str, str]) -> str:
    found = "".join(f'<a href="#{target}">{html.text(said)}</a>' for target, said in links.items() if said)
    return f'<nav class="{kind}">{found}</nav>' if kind else f"<nav>{found}</nav>"


def _table(name: str, result: Result) -> str:
    return html.table(
        name, result.tables[name], result.units_of(name), result.captions.get(name, ""), f"tables/{name}.parquet"
    )


def _figure(figure: Figure, result: Result, drawn: list[Mapping[str, Any]]) -> str:
    try:
        if figure.kind == "image":
            content = image(result.images[figure.table], figure.title)
        else:
            spec = plotly(figure, result)
            content = (
                f'<div class="plot" data-figure="{len(drawn)}" style="min-height:{spec["layout"]["height"]:.0f}px">'
            )
            content += "</div>"
            drawn.append(spec)
    except (ValueError, KeyError) as error:
        content = f'<p class="undrawn">This figure could not be drawn: {html.text(error)}.</p>'
    caption = f'<p class="caption">{html.text(figure.caption)}</p>' if figure.caption else ""
    return f'<figure class="card"><h3>{html.text(figure.title)}</h3>{caption}{content}</figure>\n'


def image(pixels: np.ndarray, title: str) -> str:
    """An image inside the page; a small one is enlarged by whole pixels, so that a reader sees what the network saw."""
    from PIL import Image

    picture = Image.fromarray(pixels)
    times = max(1, min(8, 900 // picture.width))
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", optimize=True)
    encoded = base64.b64encode(buffer.getvalue()).decode()
    kind = ' class="pixels"' if times > 1 else ""
    return f'<img{kind} width="{picture.width * times}" alt="{html.text(title)}" src="data:image/png;base64,{encoded}">'


def _traced(result: Result) -> bool:
    return bool(result.environment or result.seconds or result.config or result.identity)


def _provenance(result: Result) -> str:
    if not _traced(result):
        return ""
    environment = dict(result.environment)
    command = environment.pop("command", "")
    parts = ['<h2 id="provenance">Provenance</h2>']
    if command:
        parts.append(
            '<div class="card plain" style="margin-bottom:12px"><h3 style="margin-bottom:8px">To do it again</h3>'
            f'<div class="command"><pre>{html.text(command)}</pre><button type="button">Copy</button></div></div>'
        )
    if result.seconds:
        parts.append(html.details("Time per stage", html.stages(result.seconds), opened=True))
    lineage = {"identity": result.identity} if result.identity else {}
    lineage |= {f"uses {number}": digest for number, digest in enumerate(result.uses, 1)}
    if lineage:
        parts.append(html.details("Identity and lineage", html.pairs(lineage)))
    if environment:
        parts.append(html.details("Environment", html.pairs(environment)))
    if result.config:
        parts.append(html.details("Configuration", f"<pre>{html.yaml(result.config)}</pre>"))
    return "".join(parts)
