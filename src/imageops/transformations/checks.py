"""Values of a description that must be numbers in a range, and grids over such ranges."""

from __future__ import annotations

import math
from collections.abc import Collection
from typing import Any

import torch
from torch import Generator, Tensor

from src.core.errors import UserError, suggestion


def check_whole(where: str, key: str, value: Any, least: int) -> None:
    """UserError unless ``value`` is a whole number from ``least``."""
    if type(value) is not int or value < least:
        raise UserError(f"{where}.{key}={value}: allowed are whole numbers from {least}")


def check_number(where: str, key: str, value: Any, low: float, high: float = math.inf, open_low: bool = False) -> None:
    """UserError unless ``value`` is a number from ``low`` (or above it) to ``high``."""
    if (
        type(value) in (int, float)
        and math.isfinite(value)
        and low <= value <= high
        and not (open_low and value == low)
    ):
        return
    words = f"{'above' if open_low else 'from'} {low:g}" + (f" to {high:g}" if math.isfinite(high) else "")
    raise UserError(f"{where}.{key}={value}: allowed are numbers {words}")


def check_one_of(where: str, key: str, value: Any, allowed: Collection[Any]) -> None:
    """UserError unless ``value`` is among those ``allowed``."""
    if value not in allowed or isinstance(value, bool):
        near = f"; {suggestion(value, map(str, allowed))}" if isinstance(value, str) else ""
        raise UserError(f"{where}.{key}={value}: allowed are {', '.join(map(str, allowed))}{near}")


def check_factors(where: str, low: Any, high: Any, count: Any) -> None:
    """UserError unless 0 < low <= 1 <= high, low < high, and ``count`` has room for both ends and 1."""
    check_number(where, "low", low, 0, 1, open_low=True)
    check_number(where, "high", high, 1)
    if low == high:
        raise UserError(f"{where}.high={high}: low and high are both 1; set one of them further out")
    check_whole(where, "count", count, 1 + (low < 1) + (high > 1))


def factors(low: float, high: float, count: int) -> Tensor:
    """float64 (count,) from low to high, 1 among them, geometric below and above it: evenly where 1 is one anyway."""
    span = math.log(high / low)
    below = round((count - 1) * math.log(1 / low) / span)
    below = min(max(below, int(low < 1)), count - 1 - int(high > 1))
    above = count - 1 - below
    return torch.tensor(
        [low ** (step / below) for step in range(below, 0, -1)]
        + [high ** (step / above) if step else 1.0 for step in range(above + 1)],
        dtype=torch.float64,
    )


def drawn_factors(low: float, high: float, count: int, generator: Generator) -> Tensor:
    """float64 (count, 1), uniform in the logarithm."""
    return torch.exp(uniform(math.log(low), math.log(high), (count, 1), generator))


def uniform(low: float, high: float, shape: tuple[int, ...], generator: Generator) -> Tensor:
    """float64 numbers from U[low, high), drawn on the CPU."""
    return torch.rand(shape, dtype=torch.float64, generator=generator) * (high - low) + low
