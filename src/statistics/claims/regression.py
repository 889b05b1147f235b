"""What goes with an outcome over all runs: each term alone, and all beside one another."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from src.core.result import Table, table_of
from src.statistics.claims.bootstrap import resampled
from src.statistics.claims.outcomes import outcome as outcome_of
from src.statistics.claims.runs import Runs, arrange, by_data, finished
from src.statistics.claims.terms import Term
from src.statistics.claims.words import counted

LEVEL = 0.95  # of the intervals
COLUMNS = ("coefficient", "coefficient_low", "coefficient_high", "standardised", "variance_inflation", "explained")


def regression(
    jobs: Table, *, outcome: str, terms: Sequence[str], unit: str = "variant", resamples: int = 2000, seed: int = 0
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
    for data, every in by_data(jobs).items():
        rows = finished(every)
        values = np.stack([term.values(rows) for term in parsed], axis=1)
        runs = arrange(rows, outcome_of(outcome, rows, {}).values, values, unit)
        for model, chosen in models:
            part = Runs(runs.rows, runs.outcome, runs.terms[:, chosen], runs.unit)
            columns, note = _fitted(part, [parsed[index] for index in chosen], unit, resamples, seed)
            same = {"units": runs.units, "seeds": int(runs.seeds.min()) if runs.units else 0, "note": note}
            for place, index in enumerate(chosen):
                numbers = {name: column[place] for name, column in columns.items()}
                records.append({"data": data, "model": model, "term": parsed[index].label, **numbers, **same})
    return table_of(records)


def _fitted(
    runs: Runs, terms: Sequence[Term], unit: str, resamples: int, seed: int
) -> tuple[Mapping[str, Sequence[Any]], str]:
    """A value per term of each of COLUMNS; without a fit they are empty, and the note says why."""
    count = len(terms)
    empty = dict.fromkeys(COLUMNS, [None] * count)
    if runs.units <= count + 2:
        return empty, f"refused: {runs.units} {unit}s are too few for {counted(count, 'term')}"
    same = [term.label for term, values in zip(terms, runs.terms.T, strict=True) if np.ptp(values) == 0]
    if same:
        return empty, f"refused: {', '.join(same)} is the same in all runs"
    fit, _, bounds = resampled(runs.terms, runs.outcome, runs.unit, level=LEVEL, resamples=resamples, seed=seed)
    if np.isnan(fit.slopes).any():
        return empty, "the terms cannot be told apart"
    columns = (
        fit.slopes[0].tolist(), *zip(*bounds, strict=True), fit.standardised[0].tolist(),
        (1 / fit.share_left[0]).tolist(), [float(fit.explained[0])] * count,
    )  # fmt: skip
    return dict(zip(COLUMNS, columns, strict=True)), ""
