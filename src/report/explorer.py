"""The interactive view over a sweep, as the page carries it: a table's columns and curves as plain numbers, once.

Everything that moves is in ``explorer.js``; this file only says what there is, in the words of all other views.
"""

import math
import re
from collections.abc import Iterable, Mapping
from typing import Any

from src.core.result import Explorer, Result, Table
from src.report.cells import Link, bounds, is_number
from src.report.drawing import slug
from src.report.glossary import explained
from src.report.words import NOTHING, plain_text, pretty, shown, titled, unit_of

LESS_IS_BETTER = ("loss", "error", "gap")  # last words of measures whose Pareto front runs below
SEED = "seed"  # rows that differ in nothing else are runs of one thing
PREFERRED_CURVE = "accuracy"


def read(result: Result) -> dict[str, Any] | None:
    """What ``explorer.js`` draws, ready for JSON; None without an explorer.

    Columns that the table does not have are left out and named in ``missing``, so that a sweep of which every job
    failed still has its page.
    """
    explorer = result.explorer
    if explorer is None:
        return None
    table = result.tables.get(explorer.table, {})
    named = {"name": (explorer.name,), "measure": explorer.measures, "space": explorer.space, "cost": explorer.costs,
             "profile": (explorer.profile,), "filter": explorer.filters}  # fmt: skip
    missing = [f"{role} '{name}'" for role, names in named.items() for name in names if name and name not in table]
    # the row's name first, as it is the column that stays when a table is scrolled
    in_order = dict.fromkeys(name for name in (explorer.name, *table) if name in table and name not in bounds(table))
    units = result.units_of(explorer.table)
    columns = [_column(name, table, units) | {"meaning": explained(name, result)} for name in in_order]
    kinds = {column["key"]: column["kind"] for column in columns}

    def known(names: Iterable[str], *allowed: str) -> list[str]:
        return [name for name in names if kinds.get(name) in allowed]

    space = known(explorer.space, "number")
    return {
        "file": slug(result.name),
        "columns": columns,
        "name": explorer.name if explorer.name in table else next(iter(table), ""),
        "measures": known(explorer.measures, "number"),
        "lower": [name for name in explorer.measures if re.split(r"[/_\s]", name.lower())[-1] in LESS_IS_BETTER],
        "space": space if len(space) == 3 else [],
        "costs": known(explorer.costs, "number"),
        "profile": next(iter(known([explorer.profile], "list")), ""),
        "filters": known(explorer.filters, "number", "text"),
        "seed": next((name for name in kinds if name.lower() == SEED), ""),
        "curves": _curves(explorer, table, result),
        "missing": missing,
    }


def parts(explored: Mapping[str, Any]) -> list[str]:
    """The names of the places that ``explorer.js`` fills; a part without data has no place."""
    has = {
        "space": explored["space"] and explored["measures"],
        "cost": explored["costs"] and explored["measures"],
        "profile": explored["profile"],
        "curves": explored["curves"]["lines"],
    }
    return [name for name, data in has.items() if data]


def _column(name: str, table: Table, units: Mapping[str, str]) -> dict[str, Any]:
    values, unit = table[name], unit_of(name, units)
    column: dict[str, Any] = {"key": name, "title": titled(name, unit), "short": pretty(name), "unit": unit}
    given = [value for value in values if value is not None]
    if given and all(isinstance(value, (list, tuple)) for value in given):
        return column | {"kind": "list", "values": [value if value is None else _numbers(value) for value in values]}
    if given and all(is_number(value) for value in given):
        column |= {"kind": "number", "values": _numbers(values)}
        if f"{name}_low" in bounds(table):
            column |= {end: _numbers(table[f"{name}_{end}"]) for end in ("low", "high")}
        return column
    column |= {"kind": "text", "values": [None if value is None else plain_text(value) for value in values]}
    if any(isinstance(value, Link) for value in values):
        column["targets"] = [value.target if isinstance(value, Link) else "" for value in values]
    return column


def _numbers(values: Iterable[Any]) -> list[float | int | None]:
    return [_number(value) for value in values]


def _number(value: Any) -> float | int | None:
    # plain, as stored: the page shows fractions times 100, the CSV file has them as they are
    if value is None or not is_number(value) or not math.isfinite(float(value)):
        return None
    return int(value) if float(value).is_integer() and abs(float(value)) < 2**53 else float(f"{float(value):.9g}")


def _curves(explorer: Explorer, table: Table, result: Result) -> dict[str, Any]:
    """Curves as lines of their rows: ``[row, split, epochs, values]``.

    A curve belongs to the rows that agree with it in every column by which both tables tell rows apart: the job, the
    name, the filters.
    """
    curves = result.tables.get(explorer.curves, {}) if explorer.curves else {}
    both = [name for name in dict.fromkeys(("job", explorer.name, *explorer.filters)) if name in table]
    keys = [name for name in both if name in curves]
    wanted = ("epoch", "split", PREFERRED_CURVE)
    if not keys or any(name not in curves for name in wanted):
        return {"lines": [], "splits": [], "title": "", "unit": ""}
    unit = unit_of(PREFERRED_CURVE, result.units_of(explorer.curves))
    rows: dict[tuple[str, ...], list[int]] = {}
    for row, values in enumerate(zip(*(table[name] for name in keys), strict=True)):
        rows.setdefault(tuple(map(plain_text, values)), []).append(row)
    lines: dict[tuple[Any, ...], tuple[list[Any], list[Any]]] = {}
    networks = curves.get("network", [""] * len(curves["epoch"]))
    owners = zip(*(map(plain_text, curves[name]) for name in keys), strict=True)
    points = zip(owners, networks, *(curves[name] for name in wanted), strict=True)
    for owner, network, epoch, split, value in points:
        for row in rows.get(owner, ()):
            epochs, accuracies = lines.setdefault((row, network, plain_text(split)), ([], []))
            number = shown(value, unit)
            epochs.append(_number(epoch))
            accuracies.append(float(f"{number:.5g}") if math.isfinite(number) else None)
    return {
        "lines": [[row, split, *points] for (row, _, split), points in lines.items()],
        "splits": list(dict.fromkeys(split for _, _, split in lines)),
        "title": titled(PREFERRED_CURVE, unit),
        "unit": unit,
    }


def is_reference(explored: Mapping[str, Any], row: int) -> bool:
    """Whether a row lies outside the space but was measured: what the others are compared with."""
    columns = {column["key"]: column["values"] for column in explored["columns"]}
    outside = bool(explored["space"]) and all(columns[name][row] is None for name in explored["space"])
    return outside and any(columns[name][row] is not None for name in explored["measures"])


def row_name(explored: Mapping[str, Any], row: int) -> str:
    names = next(column["values"] for column in explored["columns"] if column["key"] == explored["name"])
    return NOTHING if names[row] is None else str(names[row])


def front(points: Iterable[tuple[float, float]], less: bool = False) -> list[tuple[float, float]]:
    """The Pareto front of (cost, measure): by rising cost, what nothing at most as costly reaches."""
    sign = 1 if less else -1
    kept: list[tuple[float, float]] = []
    for point in sorted(points, key=lambda point: (point[0], sign * point[1])):
        if not kept or sign * point[1] < sign * kept[-1][1]:
            kept.append(point)
    return kept
