"""A number with its interval: what every finding is told in."""

import math
from dataclasses import fields
from typing import Any, NamedTuple


class Estimate(NamedTuple):
    """A number with its interval: ``n`` independent units (images, seeds ...) of kind ``unit`` stand behind it.

    ``low`` and ``high`` are the bounds of a 95% interval and nothing else; NaN where there is none.
    """

    value: float
    low: float = math.nan
    high: float = math.nan
    n: int = 0
    unit: str = ""

    def columns(self, name: str) -> dict[str, float]:
        """The value and its bounds as columns of a table: ``name``, ``name_low``, ``name_high``."""
        return {name: self.value, f"{name}_low": self.low, f"{name}_high": self.high}


def columns_of(findings: Any, *left_out: str) -> dict[str, Any]:
    """The fields of a dataclass as columns of a table: of an estimate its bounds too; what is None has no column."""
    columns: dict[str, Any] = {}
    for field in fields(findings):
        value = getattr(findings, field.name)
        if isinstance(value, Estimate):
            columns |= value.columns(field.name)
        elif value is not None and field.name not in left_out:
            columns[field.name] = value
    return columns
