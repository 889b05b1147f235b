"""What a model or a condition reads from a row: ``location``, ``log macs``, ``{minimum_width: [16, null]}``."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

Row = Mapping[str, Any]
Conditions = Mapping[str, Any]  # column -> the value it must have, or [low, high] with both ends in, None for open
SCALES = {"log": "log10", "log10": "log10", "log2": "log2"}


class Term(NamedTuple):
    """A column on its scale: ``log`` is the decimal logarithm, so that its coefficient is per tenfold."""

    column: str
    scale: str = ""

    @classmethod
    def parse(cls, text: str) -> "Term":
        first, _, rest = text.partition(" ")
        return cls(rest.strip(), SCALES[first]) if rest and first in SCALES else cls(text)

    @property
    def label(self) -> str:
        return f"{self.scale} {self.column}".strip()

    @property
    def step(self) -> str:
        """What a change by one means."""
        return {"log10": f"tenfold {self.column}", "log2": f"doubled {self.column}"}.get(self.scale, self.column)

    def values(self, rows: Sequence[Row]) -> np.ndarray:
        """float64 (N,); NaN where a row has no value, or none on this scale."""
        plain = np.array([number(row[self.column]) for row in rows], dtype=np.float64)
        if not self.scale:
            return plain
        plain[~(plain > 0)] = np.nan
        return np.log10(plain) if self.scale == "log10" else np.log2(plain)


def number(value: Any) -> float:
    """The value as a float; what is no finite number becomes NaN."""
    if isinstance(value, (bool, str)) or value is None:
        return math.nan
    plain = float(value)
    return plain if math.isfinite(plain) else math.nan


def meets(row: Row, conditions: Conditions) -> bool:
    """Whether the row has every value, or lies in every range, that is asked for; no value lies in no range."""
    return all(_meets(row[column], wanted) for column, wanted in conditions.items())


def _meets(value: Any, wanted: Any) -> bool:
    if isinstance(wanted, str) or not isinstance(wanted, Sequence):
        return bool(value == wanted)
    low, high = (-math.inf if wanted[0] is None else wanted[0]), (math.inf if wanted[1] is None else wanted[1])
    return bool(low <= number(value) <= high)
