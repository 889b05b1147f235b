"""A table as it is shown: intervals beside their values, units in the titles, numbers written alike."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from src.core.result import Table
from src.report.words import ago, interval, label, plain_text, titled, unit_of, writer

SHORT = 4  # values of a list that a cell shows


class Link(str):
    """A cell that leads to a file beside the page (used by the overview of many jobs).

    A text like any other to whatever knows no links: a parquet file keeps the text.
    """

    target: str

    def __new__(cls, text: str, target: str) -> "Link":
        link = super().__new__(cls, text)
        link.target = target
        return link


class Age(str):
    """A time that has passed, in words; a table sorts it by its seconds."""

    seconds: int

    def __new__(cls, seconds: float) -> "Age":
        age = super().__new__(cls, ago(seconds))
        age.seconds = round(seconds)
        return age


class Cell(NamedTuple):
    text: str
    interval: str = ""
    sort: float | str = ""
    target: str = ""
    low: float | None = None
    high: float | None = None
    key: str = ""  # what a file has instead of the text


@dataclass(frozen=True)
class Column:
    """One column as shown: ``title`` above ``cells``; numbers stand to the right."""

    name: str
    title: str
    numeric: bool
    cells: list[Cell]


def length(table: Table) -> int:
    """How many rows it has."""
    return len(next(iter(table.values()), []))


def bounds(table: Table) -> set[str]:
    """The columns that are the interval of another, in pairs: ``x_low`` and ``x_high`` beside ``x``."""
    pairs = ([f"{name}_low", f"{name}_high"] for name in table)
    return {bound for pair in pairs if table.keys() >= {*pair} for bound in pair}


def columns(table: Table, units: Mapping[str, str], most: int | None = None) -> list[Column]:
    """The columns of the first ``most`` rows; ``x_low`` and ``x_high`` are merged into ``x``."""
    within = bounds(table)
    return [_column(name, table, unit_of(name, units), most) for name in table if name not in within]


def _column(name: str, table: Table, unit: str, most: int | None) -> Column:
    values = table[name][:most]
    numeric = all(value is None or is_number(value) for value in values) and any(v is not None for v in values)
    if not numeric:
        return Column(name, titled(name, unit), False, [_text_cell(value, unit) for value in values])
    write = writer(values, unit)
    lows, highs = (table.get(f"{name}_{end}", [None] * len(values))[:most] for end in ("low", "high"))
    cells = [
        Cell(
            write(value),
            interval(low, high, write),
            "" if value is None or not math.isfinite(value) else float(value),
            low=low,
            high=high,
        )
        for value, low, high in zip(values, lows, highs, strict=True)
    ]
    return Column(name, titled(name, unit), True, cells)


def _text_cell(value: Any, unit: str) -> Cell:
    if isinstance(value, Link):
        return Cell(plain_text(value), sort=str(value), target=value.target)
    if unit == "key":
        return Cell(label(value), sort=str(value).lower(), key=str(value))
    text = plain_text(value)
    if isinstance(value, Age):
        return Cell(text, sort=str(value.seconds))
    if isinstance(value, (list, tuple)) and len(value) > SHORT:  # in few words: 64, 64, 128, … 512 (15)
        text = f"{plain_text(value[: SHORT - 1])}, … {plain_text(value[-1])} ({len(value)})"
    return Cell(text, sort=float(value) if is_number(value) else text.lower())


def is_number(value: Any) -> bool:
    # numpy's scalars are numbers without being int or float; text would pass float()
    return not isinstance(value, (bool, str, bytes)) and hasattr(value, "__float__")
