"""What a `Figure` says, read from its table into series and grids that any plotting library can draw."""

import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from src.core.result import Figure, Result, Table
from src.report.cells import is_number
from src.report.words import interval, label, plain_text, pretty, quantity, shown, titled, unit_of, writer

# Okabe and Ito's colours, told apart by colour-blind readers; blue and yellow changed to hold on white and on black.
PALETTE = ("#2f81c7", "#e08a00", "#009e73", "#d55e00", "#cc79a7", "#56b4e9", "#b59f00", "#8a8f98")
# for an ordered group of more (layers): from violet to yellow, as viridis, without its darkest and brightest ends
RAMP = ("#6a51c7", "#3f74c9", "#1f94b0", "#1aa886", "#6bbf4a", "#c9b800")
BOX = ("low", "q1", "q3", "high")  # what a box needs beside its median
CONTROL = "#8a8f98"  # of bars that are no finding but what it is held against
CELLS, LINES = 16, 24  # columns and rows of a heatmap whose cells carry their numbers
APART = 6  # lines; a figure of more on a page is one small figure each
ROWS = 5000  # points of one figure; more make a page slow and show nothing more


@dataclass(frozen=True)
class Series:
    """One line, set of bars or cloud of points; ``low`` and ``high`` are empty without intervals."""

    name: str
    colour: str
    order: int
    x: list[Any]
    y: list[float]
    low: list[float]
    high: list[float]
    said: list[str]  # the value and its interval in words
    labels: list[str]  # the row's own name, from the first column of text that is not drawn; empty without one
    about: list[str]  # all such texts
    q1: list[float] = field(default_factory=list)  # of boxes, around the median y
    q3: list[float] = field(default_factory=list)
    mean: list[float] = field(default_factory=list)
    controls: list[bool] = field(default_factory=list)  # of bars; empty where nothing is told apart


@dataclass(frozen=True)
class Chart:
    """Lines, bars, points or boxes."""

    series: list[Series]
    x_title: str
    y_title: str
    x_unit: str
    y_unit: str
    categories: list[str]  # of the x axis in order; empty where x is a number
    diagonal: tuple[float, float] | None = None  # where a line y = x begins and ends
    levels: Mapping[str, float] = field(default_factory=dict)  # name -> where a line runs across
    apart: bool = False

    @property
    def horizontal(self) -> bool:
        """Bars lie down where their names are long, so that nobody has to tilt the head."""
        return sum(map(len, self.categories)) > 40

    @property
    def values(self) -> list[float]:
        ends = (value for series in self.series for value in (*series.y, *series.low, *series.high))
        return [value for value in ends if math.isfinite(value)]


@dataclass(frozen=True)
class Grid:
    """A heatmap: ``values[row][column]``, NaN where the table has no row."""

    columns: list[str]
    rows: list[str]
    values: list[list[float]]
    said: list[list[str]]
    x_title: str
    y_title: str
    value_title: str
    ends: tuple[float, float] | None = None  # of the colours, where several grids of a page share them

    @property
    def legible(self) -> bool:
        """Whether the cells are few enough to carry their numbers."""
        return len(self.columns) <= CELLS and len(self.rows) <= LINES

    @property
    def diverging(self) -> bool:
        return any(value < 0 for row in self.values for value in row) or (self.ends is not None and self.ends[0] < 0)


@dataclass(frozen=True)
class Parallel:
    """Parallel coordinates: title of an axis -> its number for every row; the last axis colours the lines."""

    axes: dict[str, list[float]]


def read(figure: Figure, result: Result) -> Chart | Grid | Parallel:
    """The figure's numbers, as shown (fractions times 100).

    Raises:
        ValueError: its table or a column is missing, or there is nothing to draw.
    """
    table = result.tables.get(figure.table)
    if table is None:
        raise ValueError(f"there is no table '{figure.table}'")
    units = result.units_of(figure.table)
    if figure.kind == "parallel":
        names = [*(name for name in table if name != figure.y), figure.y]
        return Parallel({titled(name, unit := unit_of(name, units)): [shown(value, unit) for value in table[name]]
                         for name in names})  # fmt: skip
    value = figure.value if figure.kind == "heatmap" else figure.y
    more = [f"{figure.y}_{part}" for part in BOX] if figure.kind == "box" else []
    for column in (figure.x, figure.y, value, *more, *([figure.group] if figure.group else [])):
        if column not in table:
            raise ValueError(f"table '{figure.table}' has no column '{column}'")
    if not table[value]:
        raise ValueError(f"table '{figure.table}' is empty")
    unit = unit_of(value, units) or ("%" if figure.percent else "")
    if figure.kind == "heatmap":
        return replace(_grid(figure, table, unit, units), ends=_shared_ends(figure, unit, result))
    return _chart(figure, table, unit, unit_of(figure.x, units), colours(result).get(figure.group, {}))


def colours(result: Result) -> dict[str, dict[str, tuple[str, int]]]:
    """Group column -> its values -> (colour, number): one value has one colour in all figures of a result."""
    groups: dict[str, dict[str, None]] = {}
    for figure in result.figures:
        values = result.tables.get(figure.table, {}).get(figure.group, []) if figure.group else []
        groups.setdefault(figure.group, {}).update(dict.fromkeys(map(plain_text, values)))
    return {
        group: {name: (_colour(number, len(names)), number) for number, name in enumerate(names)}
        for group, names in groups.items()
    }


def _colour(index: int, count: int) -> str:
    if count <= len(PALETTE):
        return PALETTE[index]
    place = index / (count - 1) * (len(RAMP) - 1)
    below = min(int(place), len(RAMP) - 2)
    ends = [[int(colour[i : i + 2], 16) for i in (1, 3, 5)] for colour in RAMP[below : below + 2]]
    return "#" + "".join(f"{round(a + (b - a) * (place - below)):02x}" for a, b in zip(*ends, strict=True))


def _chart(figure: Figure, table: Table, unit: str, x_unit: str, known: Mapping[str, tuple[str, int]]) -> Chart:
    count = min(len(table[figure.y]), ROWS)
    x = table[figure.x][:count]
    numeric = figure.kind not in ("bars", "box") and all(is_number(value) for value in x)
    places = [shown(value, x_unit) for value in x] if numeric else [plain_text(value) for value in x]
    write = writer(table[figure.y], unit)
    bounded = {f"{figure.y}_low", f"{figure.y}_high"} <= table.keys()
    low, high = (table.get(f"{figure.y}_{end}", []) for end in ("low", "high"))
    groups = [plain_text(value) for value in table[figure.group][:count]] if figure.group else [""] * count
    used = {figure.x, figure.y, figure.group}
    about = [name for name, values in table.items() if name not in used and values and isinstance(values[0], str)]

    def drawn(values: list[Any], rows: list[int]) -> list[float]:
        return [shown(values[row], unit) for row in rows if values]

    series = []
    for group in dict.fromkeys(groups):
        rows = [row for row in range(count) if groups[row] == group]
        if numeric and figure.kind == "lines":
            rows.sort(key=lambda row: places[row])
        colour, order = known.get(group, (PALETTE[0], 0))
        parts = ("q1", "q3", "mean") if figure.kind == "box" else ()
        said = (
            f"{quantity(write(table[figure.y][row]), unit)} {interval(low[row], high[row], write) if bounded else ''}"
            for row in rows
        )
        series.append(
            Series(
                name=label(group),
                colour=colour,
                order=order,
                x=[places[row] if numeric else label(places[row]) for row in rows],
                y=drawn(table[figure.y], rows),
                low=drawn(low, rows) if bounded else [],
                high=drawn(high, rows) if bounded else [],
                said=[words.strip() for words in said],
                labels=[label(table[about[0]][row]) for row in rows] if about else [],
                controls=[plain_text(places[row]) not in figure.under_test for row in rows if figure.under_test],
                about=[", ".join(f"{pretty(name)}: {label(table[name][row])}" for name in about) for row in rows],
                **{part: drawn(table.get(f"{figure.y}_{part}", []), rows) for part in parts},
            )
        )
    return Chart(
        series,
        titled(figure.x, x_unit),
        titled(figure.y, unit),
        x_unit,
        unit,
        [] if numeric else [label(place) for place in dict.fromkeys(places)],
        _diagonal(numeric) if figure.diagonal else None,
        {name: shown(level, unit) for name, level in figure.levels.items()},
        figure.apart,
    )


def _shared_ends(figure: Figure, unit: str, result: Result) -> tuple[float, float] | None:
    """The least and the greatest value of all grids of the same axes, so that their colours mean the same.

    They are those of one column's name, or of one table and unit (before and after).
    """
    alike = {
        (one.table, one.value)
        for one in result.figures
        if one.kind == "heatmap" and (one.x, one.y) == (figure.x, figure.y)
        and (one.value == figure.value or one.table == figure.table)
        and one.value in result.tables.get(one.table, {})
        and (unit_of(one.value, result.units_of(one.table)) or ("%" if one.percent else "")) == unit
    }  # fmt: skip
    values = [shown(value, unit) for table, column in alike for value in result.tables[table][column]]
    values = [value for value in values if math.isfinite(value)]
    return (min(values), max(values)) if len(alike) > 1 and values else None


def _diagonal(numeric: bool) -> tuple[float, float]:
    """Over all percents, so that no axis is cut.

    Raises:
        ValueError: the x axis has no numbers.
    """
    if not numeric:
        raise ValueError("a diagonal needs numbers on both axes")
    return 0.0, 100.0


def _grid(figure: Figure, table: Table, unit: str, units: Mapping[str, str]) -> Grid:
    names = {}
    for axis, name in (("x", figure.x), ("y", figure.y)):
        numbers = bool(unit_of(name, units)) and all(is_number(value) for value in table[name])
        names[axis] = [*map(writer(table[name], unit_of(name, units)) if numbers else label, table[name])]
    columns, rows = (list(dict.fromkeys(names[axis])) for axis in ("x", "y"))
    if len(columns) * len(rows) > 250_000:
        raise ValueError(f"{len(rows)} x {len(columns)} fields are too many to draw")
    values = [[math.nan] * len(columns) for _ in rows]
    write = writer(table[figure.value], unit)
    said = [[""] * len(columns) for _ in rows]
    row_of, column_of = ({name: i for i, name in enumerate(names)} for names in (rows, columns))
    for x, y, value in zip(names["x"], names["y"], table[figure.value], strict=True):
        row, column = row_of[y], column_of[x]
        values[row][column], said[row][column] = shown(value, unit), write(value)
    x_title, y_title = (titled(name, unit_of(name, units)) for name in (figure.x, figure.y))
    return Grid(columns, rows, values, said, x_title, y_title, titled(figure.value, unit))


def labelled(chart: Chart) -> bool:
    """Whether points are few enough to carry their names."""
    return sum(len(series.labels) for series in chart.series) in range(1, 25)


def shorten(text: str, most: int = 18) -> str:
    return text if len(text) <= most else text[: most - 1].rstrip() + "…"


def percent_range(chart: Chart) -> tuple[float, float] | None:
    """0 to 100 for fractions of which one is above a half, so that bars of different jobs compare; else free."""
    if chart.y_unit != "%" or max(chart.values, default=0) <= 50 or min(chart.values) < 0:
        return None
    return (0.0, max(100.0, *chart.values))


def slug(title: str) -> str:
    """A file name for a title: letters, digits and underscores only."""
    said = "".join(letter if letter.isascii() and letter.isalnum() else " " for letter in title.lower())
    return "_".join(said.split())[:60] or "figure"


def names(result: Result) -> list[str]:
    """One file name per figure, without ending: an image's own name, else from the title; no two are equal."""
    taken = set(result.images)
    chosen = []
    for figure in result.figures:
        base = slug(figure.title)
        numbered = itertools.chain([base], (f"{base}_{number}" for number in itertools.count(2)))
        image = figure.kind == "image"
        chosen.append(figure.table if image else next(name for name in numbered if name not in taken))
        taken.add(chosen[-1])
    return chosen
