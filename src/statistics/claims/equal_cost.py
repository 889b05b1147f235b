"""Early-heavy against late-heavy networks where both exist at the same cost."""

from typing import Any

import numpy as np

from src.core.result import Table, table_of
from src.statistics.claims.bootstrap import least_squares, resampled, unit_weights
from src.statistics.claims.outcomes import outcome as outcome_of
from src.statistics.claims.runs import Runs, arrange, by_data, finished
from src.statistics.claims.terms import Term, number

FEWEST = 2  # units that a group must have in a bin
EARLY, LATE = 4, 11  # locations up to which a unit is early, and from which on it is late
LEVEL = 0.95  # of the intervals


def equal_cost(
    jobs: Table, *, outcome: str, cost: str, bins: int = 4, unit: str = "variant", resamples: int = 2000, seed: int = 0
) -> Table:
    """Outcome of units with early locations minus that of units with late ones, in bins of the same cost.

    The bins divide the range of costs (on a logarithmic axis) in which both groups exist, in equal ratios. Nothing is
    extrapolated to costs that only one group has: this assumes no shape of the outcome over the cost, as a regression
    does, and pays for it with fewer units.

    Returns:
        A table with a row per data set and bin, and a row ``all bins`` that compares within bins only: the costs'
        bounds, ``early`` and ``late`` (units), ``difference`` with its interval, ``cost_ratio`` (early to late, by
        geometric means, what is left unequal in the bin), and a ``note`` where there is no comparison.
    """
    records: list[dict[str, Any]] = []
    for data, every in by_data(jobs).items():
        rows = finished(every)
        place = np.array([number(row["location"]) for row in rows])
        group = np.where(place <= EARLY, 1.0, np.where(place >= LATE, 0.0, np.nan))
        costs = Term(cost, "log10").values(rows)
        runs = arrange(rows, outcome_of(outcome, rows, {}).values, np.stack([group, costs], axis=1), unit)
        label = {"data": data, "cost": cost}
        records += [{**label, **record} for record in _compare(runs, bins, resamples, seed)]
    return table_of(records)


def _compare(runs: Runs, bins: int, resamples: int, seed: int) -> list[dict[str, Any]]:
    early, costs = runs.terms[:, 0] == 1, runs.terms[:, 1]
    if early.all() or not early.any():
        return [_record("all bins", runs, note="no overlap: only one of the groups was run")]
    low, high = max(costs[early].min(), costs[~early].min()), min(costs[early].max(), costs[~early].max())
    inside = (costs >= low) & (costs <= high)
    if not (inside & early).any() or not (inside & ~early).any():
        spans = [f"{10 ** costs[side].min():.3g} to {10 ** costs[side].max():.3g}" for side in (early, ~early)]
        return [_record("all bins", runs, note=f"no overlap: early {spans[0]}, late {spans[1]}")]
    edges = np.linspace(low, high, bins + 1)
    place = np.where(inside, np.clip(np.searchsorted(edges, costs, side="right") - 1, 0, bins - 1), -1)
    records, usable = [], []
    for index in range(bins):
        ends = {"cost_from": float(10 ** edges[index]), "cost_to": float(10 ** edges[index + 1])}
        part = _part(runs, place == index)
        if min(_units(part)) < FEWEST:
            records.append(_record(f"bin {index + 1}", part, **ends, note=f"fewer than {FEWEST} units of a group"))
        else:
            usable.append(index)
            records.append(_record(f"bin {index + 1}", part, **ends, **_difference(part, resamples, seed)))
    ends = {"cost_from": float(10**low), "cost_to": float(10**high)}
    chosen = np.isin(place, usable)
    part = _part(runs, chosen)
    if not usable:
        return [*records, _record("all bins", part, **ends, note="no bin holds enough of both groups")]
    return [*records, _record("all bins", part, **ends, **_difference(part, resamples, seed, place[chosen]))]


def _difference(runs: Runs, resamples: int, seed: int, place: np.ndarray | None = None) -> dict[str, float]:
    """Early minus late, within the bins of ``place`` (N,): each bin has its own level, all have one difference."""
    place = np.zeros(len(runs.unit), dtype=np.int64) if place is None else place
    group, costs = runs.terms.T
    columns = np.stack([group, *(1.0 * (place == index) for index in np.unique(place)[1:])], axis=1)
    strata = 2 * place + group.astype(np.int64)  # a resample keeps every bin's groups
    fit, _, [(low, high), *_] = resampled(
        columns, runs.outcome, runs.unit, level=LEVEL, resamples=resamples, seed=seed, strata=strata
    )
    ratio = 10 ** float(least_squares(columns, costs, unit_weights(runs.unit)).slopes[0, 0])
    return {"difference": float(fit.slopes[0, 0]), "difference_low": low, "difference_high": high, "cost_ratio": ratio}


def _part(runs: Runs, chosen: np.ndarray) -> Runs:
    unit = np.unique(runs.unit[chosen], return_inverse=True)[1].astype(np.int64)
    rows = [row for row, take in zip(runs.rows, chosen, strict=True) if take]
    return Runs(rows, runs.outcome[chosen], runs.terms[chosen], unit)


def _units(runs: Runs) -> tuple[int, int]:
    """How many units are early, and how many late."""
    early = runs.terms[:, 0] == 1
    return len(np.unique(runs.unit[early])), len(np.unique(runs.unit[~early]))


def _record(name: str, runs: Runs, **known: Any) -> dict[str, Any]:
    early, late = _units(runs)
    columns = ("cost_from", "cost_to", "difference", "difference_low", "difference_high", "cost_ratio")
    numbers = {column: known.get(column) for column in columns}
    return {"bin": name, "early": early, "late": late, **numbers, "note": known.get("note", "")}
