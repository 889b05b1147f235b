"""What goes with an outcome over all runs: each term alone, and all beside one another."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from src.core.result import Table, table_of
from src.statistics.claims.bootstrap import expanded, interval, least_squares, two_stage_weights, unit_weights
from src.statistics.claims.outcomes import outcome as outcome_of
from src.statistics.claims.runs import Runs, arrange, by_data, finished
from src.statistics.claims.terms import Row, Term
from src.statistics.claims.words import counted


def regression(
    jobs: Table,
    *,
    outcome: str,
    terms: Sequence[str],
    unit: str = "variant",
    resamples: int = 2000,
    seed: int = 0,
    level: float = 0.95,
) -> Table:
    """Least squares of a column by terms such as ``location``, ``log macs``, ``log2 minimum_width``, per data set.

    Every model is fitted to the same runs: the finished ones with a value of all terms (so not the baseline's, where a
    term is one of the distribution's). Intervals are those of :mod:`src.statistics.claims.bootstrap`.

    Returns:
        A table with a row per data set, model ("alone", "together") and term: ``coefficient`` with its interval
        (outcome per one step of the term as its name states it: per tenfold of ``log10``), ``standardised`` (standard
        deviations per standard deviation), ``variance_inflation`` (1 / the share of the term's variance that the others
        leave), ``explained`` (share of the outcome's variance, of the model), ``units``, ``seeds`` (fewest of a unit),
        and a ``note`` where a model was refused.
    """
    parsed = [Term.parse(text) for text in terms]
    models = [("alone", [index]) for index in range(len(parsed))]
    models += [("together", list(range(len(parsed))))] if len(parsed) > 1 else []
    records: list[dict[str, Any]] = []
    for data, rows in by_data(jobs).items():
        runs = _gather(finished(rows), outcome, parsed, unit)
        for model, chosen in models:
            part = Runs(runs.rows, runs.outcome, runs.terms[:, chosen], runs.unit)
            found = _model(part, [parsed[index] for index in chosen], unit, resamples, seed, level)
            records += [{"data": data, "model": model, **record} for record in found]
    return table_of(records)


def _gather(rows: list[Row], outcome: str, terms: Sequence[Term], unit: str) -> Runs:
    values = outcome_of(outcome, rows, {}).values
    return arrange(rows, values, np.stack([term.values(rows) for term in terms], axis=1), unit)


def _model(
    runs: Runs, terms: Sequence[Term], unit: str, resamples: int, seed: int, level: float
) -> list[dict[str, Any]]:
    refused = _refused(runs, terms, unit)
    numbers: dict[str, list[Any]] = dict.fromkeys(COLUMNS, [None] * len(terms))
    if not refused:
        fit = least_squares(runs.terms, runs.outcome, unit_weights(runs.unit))
        weights = two_stage_weights(runs.unit, resamples=resamples, seed=seed)
        samples = least_squares(runs.terms, runs.outcome, weights).slopes
        if np.isnan(fit.slopes).any():
            refused = "the terms cannot be told apart"
        else:
            numbers = _numbers(fit, samples, runs.units, level)
    seeds = int(runs.seeds.min()) if runs.units else 0
    return [
        {
            "term": term.label,
            **{name: values[index] for name, values in numbers.items()},
            "units": runs.units,
            "seeds": seeds,
            "note": refused,
        }
        for index, term in enumerate(terms)
    ]


COLUMNS = ("coefficient", "coefficient_low", "coefficient_high", "standardised", "variance_inflation", "explained")


def _numbers(fit: Any, samples: np.ndarray, units: int, level: float) -> dict[str, list[Any]]:
    terms = samples.shape[1]
    bounds = [
        interval(expanded(fit.slopes[0, term], samples[:, term], units=units, terms=terms, level=level), level)
        for term in range(terms)
    ]
    columns = [
        fit.slopes[0].tolist(), [low for low, _ in bounds], [high for _, high in bounds], fit.standardised[0].tolist(),
        (1 / fit.share_left[0]).tolist(), [float(fit.explained[0])] * terms,
    ]  # fmt: skip
    return dict(zip(COLUMNS, columns, strict=True))


def _refused(runs: Runs, terms: Sequence[Term], unit: str) -> str:
    """Why the model is not fitted, if it is not."""
    if runs.units <= len(terms) + 2:
        return f"refused: {runs.units} {unit}s are too few for {counted(len(terms), 'term')}"
    same = [term.label for term, values in zip(terms, runs.terms.T, strict=True) if np.ptp(values) == 0]
    return f"refused: {', '.join(same)} is the same in all runs" if same else ""
