"""A number with its interval: what every finding is told in."""

import math
from typing import NamedTuple


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
