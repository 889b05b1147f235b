"""A number with its interval: what every finding is told in."""

from __future__ import annotations

import math
from typing import NamedTuple


class Estimate(NamedTuple):
    """A number with its interval: ``n`` independent units (images, seeds ...) of kind ``unit`` stand behind it."""

    value: float
    low: float = math.nan
    high: float = math.nan
    n: int = 0
    unit: str = ""
