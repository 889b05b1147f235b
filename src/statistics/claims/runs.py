"""The rows that a model is fitted to, as arrays in an order that does not depend on the table's."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from src.core.result import Table, rows
from src.core.shown import Shown
from src.statistics.claims.terms import Row
from src.statistics.claims.words import counted


@dataclass(frozen=True)
class Runs(Shown):
    """N runs of U units.

    Attributes:
        rows: (N,), units together.
        outcome: float64 (N,).
        terms: float64 (N, K).
        unit: int (N,), 0..U-1.
    """

    rows: list[Row]
    outcome: np.ndarray
    terms: np.ndarray
    unit: np.ndarray

    @property
    def seeds(self) -> np.ndarray:
        """Runs of each unit: int (U,)."""
        return np.bincount(self.unit)

    @property
    def units(self) -> int:
        return len(self.seeds)

    @property
    def seeds_each(self) -> str:
        """``4 seeds each``, ``2 to 4 seeds each``."""
        fewest, most = self.seeds.min(), self.seeds.max()
        return f"{counted(most, 'seed')} each" if fewest == most else f"{fewest} to {most} seeds each"


def arrange(rows: Sequence[Row], outcome: np.ndarray, terms: np.ndarray, unit: str) -> Runs:
    """Sort the rows, and leave out those with a NaN anywhere. ``outcome`` (N,), ``terms`` (N, K)."""
    whole = np.isfinite(outcome) & np.isfinite(terms).all(axis=1)
    order: list[int] = sorted(
        np.flatnonzero(whole).tolist(),
        key=lambda i: (str(rows[i][unit]), str(rows[i].get("seed")), outcome[i], *terms[i]),
    )
    names = [str(rows[i][unit]) for i in order]
    codes = np.unique(names, return_inverse=True)[1] if names else np.zeros(0, dtype=np.int64)
    return Runs([rows[i] for i in order], outcome[order], terms[order], codes)


def by_data(jobs: Table) -> dict[str, list[Row]]:
    """The rows of each data set, in the order of their names."""
    every = rows(jobs)
    names = sorted({str(row["data"]) for row in every})
    return {name: [row for row in every if str(row["data"]) == name] for name in names}


def finished(rows: Sequence[Row]) -> list[Row]:
    """Rows of jobs that ended well. A run that was skipped early is one: it has an accuracy, if a poor one."""
    return [row for row in rows if row.get("status", "ok") == "ok"]
