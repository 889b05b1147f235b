"""Tables of jobs with a known truth."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from src.statistics.claims import Claim, claim_from

Row = dict[str, Any]
LOCATIONS = [0, 1, 2, 3, 4, 7, 8, 11, 12, 13, 14, 15]


def table(rows: Sequence[Row]) -> dict[str, list[Any]]:
    return {key: [row[key] for row in rows] for key in rows[0]}


def jobs(
    accuracy: Callable[[Row], float] = lambda row: 0.8, *, units: int = 24, seeds: int = 4, between: float = 0.01,
    within: float = 0.005, data: str = "glyphs", seed: int = 0, log_macs: Callable[[Row], float] = lambda row: 8.0,
) -> list[Row]:  # fmt: skip
    """A row per variant and seed, and a baseline; ``between`` and ``within``: spread of variants and of their seeds."""
    draw = np.random.default_rng(seed)
    rows = []
    for index in range(units):
        row = {
            "variant": str(index),
            "architecture": f"a{index}",
            "location": float(LOCATIONS[index % len(LOCATIONS)]),
            "data": data,
        }
        row["wobble"] = float(draw.normal())
        row |= {"macs": 10 ** log_macs(row), "parameters": 10 ** draw.normal(6, 0.2)}
        row["minimum_width"] = int(2 ** draw.integers(1, 6))
        row["full_minimum_width"] = row["minimum_width"]
        own = accuracy(row) + draw.normal(0, between)
        rows += [
            {**row, **RUN, "seed": run, "test_accuracy": own + draw.normal(0, within)} for run in range(seeds)
        ]  # fmt: skip
    baseline = {**rows[0], "variant": "baseline", "location": None, "full_minimum_width": 64, "test_accuracy": 0.9}
    return [*rows, *({**baseline, "seed": run} for run in range(seeds))]


RUN = {"status": "ok", "skipped": False, "validation_accuracy": 0.8}
PLAIN = {
    "statement": "Early layers | matter",
    "source": "A. Author 2018",
    "metric": "test_accuracy",
    "contrast": {"slope": "location", "per": "layer"},
    "direction": "negative",
    "design": {"units": 12, "seeds": 2, "each_side": 4, "span": {"location": [4, 11]}},
    "gate": {"row": {"variant": "baseline"}, "metric": "validation_accuracy"},
}


def claim(name: str = "early", **changes: Any) -> Claim:
    values: Mapping[str, Any] = {**PLAIN, **changes}
    return claim_from(name, values)
