"""One job's result as one HTML file that needs nothing else: it opens by a double click, offline, years later."""

import base64
import io
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from src.core.files import write_atomically
from src.core.result import TRAINING, Figure, Result, rows
from src.report import explorer
from src.report.cells import Column, columns, length
from src.report.figures import plotly
from src.report.glossary import explained, glossary
from src.report.screen import PAGE, TINY
from src.report.words import NOTHING, duration, estimated, flat, plain_text, pretty, unit_of

if TYPE_CHECKING:
    import numpy as np
    from jinja2 import Environment

WIDE = 800  # pixels: a picture that takes a line of its own
NAMED = 700  # pixels: the same of one whose lines and columns have names
ROWS = 500  # of a table on the page; the parquet file has them all
SECTIONS = 3  # from so many on they have a line of links of their own
TILES = 5  # metrics shown large; all others stand in a folded table
LONG = 40  # rows; a longer table is folded, and so is one that a figure shows
DENSE = 6  # columns; a table of more has its intervals below the values
COLUMNS = 9  # of a table at first; the others come at a click
ANSWERS = ("verdict",)  # columns that are told in every row, even where all say the same
ALIKE = 3  # rows from which on a column that says the same in all of them is said once
MARKS = {
    "success": "✓", "no success": "✗", "no verdict": "○", "failed": "✗", "interrupted": "○", "not finished": "…"
}  # fmt: skip


@dataclass(frozen=True)
class Part:
    """What stands under one heading, in the template's words."""

    id: str
    heading: str
    figures: Sequence[Mapping[str, Any]] = ()
    tables: Sequence[Mapping[str, Any]] = ()
    folded: Sequence[Mapping[str, Any]] = ()


def write_page(result: Result, folder: Path) -> Path:
    """Write ``folder/page.html`` and return its path."""
    path = folder / PAGE
    write_atomically(path, render(result))
    return path


def render(result: Result) -> str:
    """The page as text. A figure that cannot be drawn is named with the reason; it does not cost the page."""
    drawn: list[Mapping[str, Any]] = []
    explored = explorer.read(result)
    parts, sections = _parts(result, drawn)
    events = _alike(result.events)
    count = len(events)
    others = [(part.id, part.heading) for part in parts if len(sections) < SECTIONS or part.id not in sections]
    traced = bool(result.environment or result.seconds or result.config or result.identity)
    if events or traced:
        said = f"{count} thing{'s' if count != 1 else ''} reduced or replaced" if count else "Nothing reduced"
        others.append(("events", said))
    terms = glossary(result)
    others += [("glossary", "Words")] if terms else []
    others += [("provenance", "Provenance")] if traced else []
    lineage = {"identity": result.identity} if result.identity else {}
    environment = {name: value for name, value in result.environment.items() if name != "command"}
    text: str = (
        _templates()
        .get_template("page.html")
        .render(
            result=result,
            tiny=TINY,
            ending=result.verdict_kind if result.status == "ok" else result.status,
            sentence=result.verdict if result.status == "ok" else result.error,
            opening=result.opening,
            pictures=_pictures(result),
            metrics=[*_answers(result), *_metrics(result)],
            tiles=TILES,
            events=events,
            terms=terms,
            navigation=[("sections", list(sections.items()) if len(sections) >= SECTIONS else []), ("", others)],
            parts=parts,
            drawn=drawn,
            explored=explored,
            explorable=bool(explored and explored["columns"]),
            explore_parts=explorer.parts(explored) if explored else (),
            explore_caption=result.captions.get(result.explorer.table, "") if result.explorer else "",
            traced=traced,
            command=result.environment.get("command", ""),
            stages={name: took for name, took in result.seconds.items() if name != "all"},
            longest=max((took for name, took in result.seconds.items() if name != "all"), default=0.0) or 1.0,
            provenance={
                "Identity and lineage": lineage | {f"uses {number}": use for number, use in enumerate(result.uses, 1)},
                "Environment": flat(environment),
            },
        )
    )
    return text


@cache
def _templates() -> "Environment":
    """Every text is escaped, for class names may be hostile, and nothing that is not there is passed over."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup
    from plotly.offline import get_plotlyjs

    folder = Path(__file__).parent / "templates"
    templates = Environment(
        loader=FileSystemLoader(folder),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=lambda value: value if isinstance(value, Markup) else plain_text(value),
    )
    templates.policies["json.dumps_kwargs"] = {"allow_nan": False, "separators": (",", ":")}
    templates.filters |= {"pretty": pretty, "duration": duration, "css_class": _css_class, "yaml": _yaml}
    templates.globals |= {
        "marks": MARKS,
        "file": lambda name: Markup((folder / name).read_text(encoding="utf-8")),
        "plotly": lambda: Markup(get_plotlyjs()),
    }
    return templates


def _css_class(ending: str) -> str:
    return ending.replace(" ", "-") if ending in MARKS else "found"


def _yaml(config: Mapping[str, Any]) -> str:
    """The configuration as YAML, whatever it holds."""
    import yaml
    from markupsafe import escape

    plain = json.loads(json.dumps(config, default=str))
    return escape(yaml.safe_dump(plain, sort_keys=False, allow_unicode=True, width=100))


def _parts(result: Result, drawn: list[Mapping[str, Any]]) -> tuple[list[Part], dict[str, str]]:
    """What the page has under its headings in order; and id -> heading of the result's own sections.

    Figures for plotly are appended to ``drawn``.
    """
    # the explorer has its tables' rows, all of them
    inside = {result.explorer.table, result.explorer.curves} if result.explorer else set()
    inside |= {name for name, table in result.tables.items() if not length(table)}  # which say nothing
    first = [name for name in result.screen if name in result.tables and name not in (*inside, *result.folded)]
    figures: dict[str, list[dict[str, Any]]] = {}
    results: list[dict[str, Any]] = []  # figures of the tables that decide
    for figure in result.figures:
        place = results if figure.table in first and not figure.section else figures.setdefault(figure.section, [])
        place.append(_figure(figure, result, drawn))
    for together in (results, *figures.values()):
        if len(narrow := [figure for figure in together if not figure["wide"]]) % 2:
            narrow[-1]["wide"] = True  # no half of a line stays empty
    pictured = {figure.table for figure in result.figures}
    tables: dict[str, list[Mapping[str, Any]]] = {}
    folded: dict[str, list[Mapping[str, Any]]] = {}
    for name, table in result.tables.items():
        if name not in inside and name not in first:
            closed = name in pictured or name in result.folded or length(table) > LONG
            (folded if closed else tables).setdefault(result.sections.get(name, ""), []).append(_table(name, result))
    loose_figures, loose_tables, loose_folded = figures.pop("", []), tables.pop("", []), folded.pop("", [])
    headings = sorted(dict.fromkeys([*figures, *tables, *folded]), key=lambda heading: heading == TRAINING)
    sections = [
        Part(f"section-{number}", heading, figures.get(heading, ()), tables.get(heading, ()), folded.get(heading, ()))
        for number, heading in enumerate(headings, 1)
    ]
    parts = [Part("results", "Results", results, [_table(name, result) for name in first])] if first else []
    parts += [Part("explore", "Explore")] if result.explorer else []
    parts += [Part("figures-of-it", "Figures", loose_figures)] if loose_figures else []
    parts += sections
    parts += [Part("tables", "More tables", (), loose_tables, loose_folded)] if loose_tables or loose_folded else []
    return parts, {part.id: part.heading for part in sections}


def _answers(result: Result) -> list[dict[str, str]]:
    """The verdicts on what is claimed, which stand before all numbers."""
    judged = rows(result.tables.get("claims", {}))
    reasons = result.tables.get("why", {}).get("reason", [NOTHING] * len(judged))
    several = len({claim.get("data") for claim in judged}) > 1
    return [
        {"name": claim["claim"] + (f" ({claim['data']})" if several else ""), "value": claim["verdict"], "unit": "",
         "bounds": claim["effect"] if claim.get("units") else why.partition(";")[0],
         "count": f"over {claim['units']} units" if claim.get("units") else "", "meaning": ""}
        for claim, why in zip(judged, reasons, strict=True)
    ]  # fmt: skip


def _metrics(result: Result) -> list[dict[str, str]]:
    cards = []
    for name, estimate in result.metrics.items():
        unit = unit_of(name, result.units)
        value, bounds = estimated(estimate, unit)
        unit_of_count = estimate.unit.removesuffix("s") if estimate.n == 1 else estimate.unit
        count = f"{estimate.n:,} {unit_of_count}" if estimate.n else ""
        ends = bounds.strip("[]").replace(", ", " to ")
        meaning = explained(name, result)
        cards.append({"name": name, "value": value, "unit": unit, "bounds": ends, "count": count, "meaning": meaning})
    return cards


def _table(name: str, result: Result) -> dict[str, Any]:
    table = result.tables[name]
    shown = columns(table, result.units_of(name), ROWS)
    alike = _alike_in_all(shown) if length(table) >= ALIKE else []
    others = [column.name for column in shown if column not in alike]
    hidden = {column.name for column in alike} | set(others[COLUMNS:])
    heads = [(column, explained(column.name, result), column.name in hidden) for column in shown]
    pictures = [figure.title for figure in result.figures if figure.table == name]
    title = result.titles.get(name, "")
    return {
        "name": name,
        "title": title or pretty(name),
        "bar": title or "; ".join(dict.fromkeys(pictures)) or pretty(name),
        "dense": len(shown) - len(hidden) > DENSE,
        "columns": heads,
        "hidden": len(hidden),
        "alike": [
            (column.title, column.cells[0])
            for column in alike
            if column.cells[0].text not in ("", NOTHING, column.title.lower())
        ],  # which would say nothing
        "rows": [list(zip(heads, row, strict=True)) for row in zip(*(column.cells for column in shown), strict=True)],
        "count": length(table),
        "caption": result.captions.get(name, ""),
        "file": f"tables/{name}.parquet",
    }


def _alike_in_all(shown: Sequence[Column]) -> list[Column]:
    """The columns that say the same in every row and answer nothing; none where one other column would be left."""
    same = [column for column in shown if len({(cell.text, cell.interval) for cell in column.cells}) == 1]
    alike = [column for column in same if column.name not in ANSWERS]
    return alike if len(alike) < len(shown) - 1 else []


def _figure(figure: Figure, result: Result, drawn: list[Mapping[str, Any]]) -> dict[str, Any]:
    shown: dict[str, Any] = {"title": figure.title, "caption": figure.caption, "error": "", "image": None, "tiles": (),
                             "rows": (), "heads": ()}  # fmt: skip
    try:
        if figure.kind == "image" and figure.rows:
            image = _image(result.images[figure.table])
            return shown | {"image": image, "rows": figure.rows, "heads": figure.labels, "wide": image["width"] > NAMED}
        if figure.kind == "image" and figure.labels:
            return shown | {
                "tiles": _tiles(result.images[figure.table], figure),
                "columns": figure.columns,
                "wide": True,
            }
        if figure.kind == "image":
            return shown | {"image": (image := _image(result.images[figure.table])), "wide": image["wide"]}
        spec = plotly(figure, result)
    except (ValueError, KeyError) as error:
        return shown | {"error": str(error), "wide": False}
    drawn.append(spec)
    layout = spec["layout"]
    return shown | {"number": len(drawn) - 1, "height": layout["height"], "wide": layout.get("meta", {}).get("wide")}


def _tiles(sheet: "np.ndarray", figure: Figure) -> list[tuple[dict[str, Any], str]]:
    """The images of a sheet, each with its label."""
    lines = -(-len(figure.labels) // figure.columns)
    height, width = sheet.shape[0] // lines, sheet.shape[1] // figure.columns
    corners = [(number // figure.columns * height, number % figure.columns * width)
               for number in range(len(figure.labels))]  # fmt: skip
    return [(_image(sheet[top : top + height, left : left + width], 1), label)
            for (top, left), label in zip(corners, figure.labels, strict=True)]  # fmt: skip


def _pictures(result: Result) -> dict[str, dict[str, Any]]:
    """The pictures in the drawing of what was done."""
    asked = {step.picture for step in result.opening.steps} if result.opening else set()
    return {name: _image(result.images[name], 1) for name in sorted(asked & result.images.keys())}


def _image(pixels: "np.ndarray", times: int = 0) -> dict[str, Any]:
    """A small one is enlarged by whole pixels, so that a reader sees what the network saw."""
    from PIL import Image

    picture = Image.fromarray(pixels)
    times = times or max(1, min(8, 900 // picture.width))
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", optimize=True)
    encoded = base64.b64encode(buffer.getvalue()).decode()
    return {"png": encoded, "width": picture.width * times, "enlarged": times > 1, "wide": picture.width >= WIDE}


def _alike(events: Sequence[str]) -> list[tuple[str, list[str]]]:
    """Events that differ by numbers and quoted names only, as the first of them and the others."""
    kinds: dict[str, list[str]] = {}
    for event in events:
        kinds.setdefault(re.sub(r"'[^']*'|[0-9][0-9.,]*", "#", event), []).append(event)
    return [(first, others) for first, *others in kinds.values()]
