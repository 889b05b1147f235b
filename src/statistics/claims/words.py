"""How an effect is written in a sentence or a table's cell."""

from __future__ import annotations

import math

from src.core.estimate import Estimate

NOTHING = "–"


def estimated(found: Estimate, effect: str) -> str:
    """``-0.43 [-0.61, -0.25] points per layer``; points are shown times 100."""
    factor = 100 if effect.split(" ")[0] == "points" else 1
    values = [factor * value for value in (found.value, found.low, found.high)]
    if not all(math.isfinite(value) for value in values):
        return NOTHING
    largest = max(abs(value) for value in values)
    decimals = min(4, max(0, 1 - math.floor(math.log10(largest)))) if largest else 0
    value, low, high = (f"{value:+.{decimals}f}" for value in values)
    return f"{value} [{low}, {high}] {effect}"


def counted(count: int, noun: str) -> str:
    """``1 run``, ``3 runs``."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def chance(p: float) -> str:
    """A p as it is written: two figures, and no more small than the resamples can tell."""
    return f"{p:.2g}" if math.isfinite(p) else NOTHING
