"""What is claimed of many jobs, judged: the verdicts, and the regressions behind them."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from src.core.paths import CONF
from src.core.result import Panel, Table, rows
from src.report.words import pretty

CLAIMS = (
    "Each claim was stated before it was tested. Supported: the effect's whole interval lies where the claim says, and "
    "p (Holm) is small. Contradicted: as far on the other side. Undecided: neither. No verdict: these jobs cannot tell."
)


class Judged(NamedTuple):
    """The verdicts on all claims: as panels, as a table in Markdown, and how many claims came to which verdict.

    Attributes:
        empty: which tables have no rows, and why.
    """

    panels: Sequence[Panel]
    readme: str
    sentence: str
    empty: list[str]


def judge(
    asked: Mapping[str, Any], jobs: Table, curves: Table, gates: Mapping[str, float], *, resamples: int, seed: int
) -> Judged:
    """Judge what is claimed of the jobs.

    Args:
        asked: ``claims``, and where wanted ``regression`` and ``equal_cost``; see `src.tasks.compare`.
        jobs: one row per job; curves: their learning curves.
        gates: data -> the accuracy that the reference has to reach.
        resamples, seed: of the bootstrap.

    Raises:
        UserError: a claim is not there, or says what it may not.
    """
    from src.statistics import claims
    from src.statistics.claims.outcomes import DERIVED

    stated = claims.read_claims(CONF / "claims", asked["claims"])
    ended = [row for row, data in enumerate(jobs["data"]) if data is not None]  # a job that failed has no data set
    # a job that came to its end has a status of its own, whatever its verdict
    statuses = [outcome if outcome in ("failed", "interrupted") else "ok" for outcome in jobs["outcome"]]
    jobs = {**jobs, "status": statuses}
    jobs = {name: [values[row] for row in ended] for name, values in jobs.items()}
    # a metric that no job of this sweep was asked for leaves the claim without a verdict, and not the sweep without all
    asked_for = {name for claim in stated for name in (claim.metric, *([claim.gate.metric] if claim.gate else []))}
    jobs |= {name: [None] * len(ended) for name in sorted(asked_for - {*jobs, *DERIVED})}
    verdicts = claims.judge(stated, jobs, curves, gates=gates, resamples=resamples, seed=seed)
    table = claims.verdict_table(verdicts)
    words = ("reason", "source")  # too long for a window
    panels = [
        Panel("", "claims", {column: values for column, values in table.items() if column not in words}, CLAIMS),
        Panel("", "why", {column: values for column, values in table.items() if column in ("claim", "data", *words)},
              title="Reasons and sources of the verdicts", folded=True),
    ]  # fmt: skip
    if asked.get("regression"):
        trained, options = _past_the_gate(jobs, gates), dict(asked["regression"])
        coefficients = claims.regression(trained, **options, resamples=resamples, seed=seed)
        caption = f"What {pretty(options['outcome']).lower()} goes with, all of these at once, a line each."
        panels.append(Panel("", "regression", coefficients, caption, title="A regression over all jobs"))
        same = {name: options[name] for name in ("outcome", "unit")}
        for cost in asked.get("equal_cost", ()):
            bins = claims.equal_cost(trained, cost=cost, **same, resamples=resamples, seed=seed)
            units = {"difference": "points"} if bins else {}
            title = f"Early against late at equal {pretty(cost)}"
            panels.append(Panel("", f"at_equal_{cost}", bins, units=units, title=title))
    counts = Counter(verdict.verdict for verdict in verdicts)
    said = ", ".join(f"{count} {verdict}" for verdict, count in counts.most_common())
    none = [panel.title for panel in panels if isinstance(panel.rows, Mapping) and not any(panel.rows.values())]
    why = "no data set whose baseline is as accurate as its recipe asks has enough variants"
    empty = [f"not shown, for {why}: {', '.join(none)}"] if none else []
    return Judged(
        panels, claims.readme_table(verdicts), f"{len(verdicts)} claim{'s' * (len(verdicts) != 1)}: {said}", empty
    )


def _past_the_gate(jobs: Table, gates: Mapping[str, float]) -> Table:
    """The jobs on data whose baseline converged: of the others no coefficient means anything."""
    reached: dict[str, list[float]] = {}
    for row in rows(jobs):
        if row["variant"] == "baseline" and row["status"] == "ok":
            reached.setdefault(row["data"], []).append(row["validation_accuracy"])
    past = {data for data, each in reached.items() if sum(each) / len(each) >= gates.get(data, math.inf)}
    return {name: [v for v, data in zip(values, jobs["data"], strict=True) if data in past]
            for name, values in jobs.items()}  # fmt: skip
