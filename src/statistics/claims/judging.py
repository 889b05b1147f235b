"""Claims against results: the verdict is computed, never typed."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from src.core.estimate import Estimate
from src.core.result import Table
from src.statistics.bootstrap import holm
from src.statistics.claims.bootstrap import resampled, two_sided_p
from src.statistics.claims.claim import Claim, check_columns
from src.statistics.claims.outcomes import DERIVED, Curves, curves_of, outcome
from src.statistics.claims.runs import Runs, arrange, by_data, finished
from src.statistics.claims.terms import Row, meets, number
from src.statistics.claims.words import counted, estimated

Judgement = Literal["supported", "contradicted", "undecided", "no verdict"]
NONE = Estimate(math.nan)


@dataclass(frozen=True)
class Verdict:
    """What became of a claim on one data set.

    Attributes:
        estimate: the effect with its interval, in the metric's own unit; ``n`` units stand behind it.
        effect: what the estimate is counted in, e.g. ``points per layer`` (a point is 0.01 of the estimate).
        p: two-sided, that the effect is the claim's margin; NaN where there is no test. p_holm: over a page's claims.
        reason: one sentence with the numbers. sensitivity: the same without the runs that were skipped early, if any.
    """

    claim: str
    data: str
    statement: str
    source: str
    verdict: Judgement
    reason: str
    estimate: Estimate = NONE
    effect: str = ""
    p: float = math.nan
    p_holm: float = math.nan
    level: float = 0.95
    sensitivity: str = ""


def judge(
    claims: Sequence[Claim],
    jobs: Table,
    curves: Table,
    *,
    gates: Mapping[str, float],
    resamples: int = 2000,
    seed: int = 0,
) -> list[Verdict]:
    """Each claim on each data set, all together one family for Holm's correction.

    Supported: the whole interval lies beyond the margin on the claimed side, and the corrected p is below 1 - level.
    Contradicted: the whole interval lies as far on the other side of 0. Runs that were skipped early count with the
    accuracy they had (leaving them out would favour whatever fails to train); jobs that failed are left out, and both
    are told.

    Args:
        jobs: one row per job: ``data``, ``seed``, ``status``, ``skipped``, and the columns that the claims name.
        curves: long: ``variant, seed, data, epoch, split, accuracy``; read where a claim is about learning curves.
        gates: data set -> accuracy that the row of a claim's gate must reach for any verdict.

    Returns:
        Verdicts in the claims' order, data sets by name. The order of rows in the tables does not matter.

    Raises:
        UserError: a claim names a column that there is not.
    """
    check_columns(claims, jobs)
    lines = curves_of(curves) if any(claim.metric in DERIVED for claim in claims) else {}
    drafts = [
        (claim, _examine(claim, data, rows, lines, gates.get(data), resamples, seed))
        for claim in claims
        for data, rows in by_data(jobs).items()
    ]
    corrected = holm([draft.p for _, draft in drafts])
    return [_conclude(claim, replace(draft, p_holm=p)) for (claim, draft), p in zip(drafts, corrected, strict=True)]


def _examine(
    claim: Claim, data: str, rows: list[Row], curves: Curves, minimum: float | None, resamples: int, seed: int
) -> Verdict:
    """A draft: without Holm's correction, and so without the last word."""
    blank = Verdict(claim.id, data, claim.statement, claim.source, "no verdict", "", level=claim.level)
    closed = _gate_closed(claim, rows, minimum)
    if closed:
        return replace(blank, reason=f"{closed}.")
    asked = [row for row in rows if _side(claim, row) is not None and meets(row, claim.where)]
    kept = finished(asked)
    runs, notes = _gather(claim, kept, curves)
    failed = len(asked) - len(kept)
    notes += [f"{counted(failed, 'run')} that did not finish left out"] if failed else []
    if claim.contrast.mean and (outside := len(rows) - len(asked)):
        notes.append(f"{counted(outside, 'run')} outside {' and '.join(claim.where)} as claimed left out")
    lacking = _lacking(claim, runs)
    if lacking:
        return replace(blank, reason="; ".join([lacking, *notes]) + ".")
    skipped = sum(bool(row.get("skipped", False)) for row in runs.rows)
    notes += [f"{counted(skipped, 'run')} skipped early kept with the accuracy reached"] if skipped else []
    effect = _effect(claim)
    estimate, p, share = _measure(claim, runs, resamples, seed)
    sentence = f"{runs.units} {claim.unit}s, {runs.seeds_each}: {estimated(estimate, effect)}"
    if claim.beside:
        beside = " and ".join(term.label for term in claim.terms[bool(claim.contrast.slope) :])
        held = f"{share:.1%} of the variance of {claim.contrast.slope or 'the contrast'} is left beside {beside}"
        if not share >= claim.design.share_left:  # also where it is NaN: nothing is left
            held += f", the claim asks {claim.design.share_left:.0%}: the two cannot be told apart here"
            p = math.nan
        notes.insert(0, held)
    return replace(
        blank, verdict="undecided", reason="; ".join([sentence, *notes]) + ".", estimate=estimate, effect=effect, p=p,
        sensitivity=_without_skipped(claim, kept, curves, resamples, seed) if skipped else "",
    )  # fmt: skip


def _conclude(claim: Claim, draft: Verdict) -> Verdict:
    if not draft.p_holm < 1 - claim.level:
        return draft
    low, high = sorted((claim.sign * draft.estimate.low, claim.sign * draft.estimate.high))
    if low > claim.margin:
        return replace(draft, verdict="supported")
    return replace(draft, verdict="contradicted") if high < -claim.margin else draft


def _gate_closed(claim: Claim, rows: Sequence[Row], minimum: float | None) -> str:
    if claim.gate is None:
        return ""
    name = " ".join(str(value) for value in claim.gate.row.values())
    gate = [number(row[claim.gate.metric]) for row in finished(rows) if meets(row, claim.gate.row)]
    accuracies = [accuracy for accuracy in gate if not math.isnan(accuracy)]
    if not accuracies:
        return f"No verdict: no finished run of {name} shows that this training converges"
    if minimum is None:
        return "No verdict: no accuracy is set here that would show that the training converged"
    reached = sum(accuracies) / len(accuracies)
    if reached >= minimum:
        return ""
    metric = claim.gate.metric.replace("_", " ")
    return f"Not converged, no verdict: {name} has a {metric} of {reached:.1%}, below the {minimum:.1%} asked"


def _side(claim: Claim, row: Row) -> float | None:
    """The row's place in the contrast: the slope's term, or 1 in the group and 0 against it; None for no part in it."""
    if claim.contrast.mean:
        return 1.0
    if claim.contrast.slope:
        value = number(row[claim.terms[0].column])
        return None if math.isnan(value) else value
    if meets(row, claim.contrast.group):
        return 1.0
    return 0.0 if meets(row, claim.contrast.against) else None


def _gather(claim: Claim, rows: list[Row], curves: Curves) -> tuple[Runs, list[str]]:
    """The runs to fit: the contrast is the first of their terms."""
    values, note = outcome(claim.metric, rows, curves)
    if claim.contrast.within:
        rows, values = _differences(claim, rows, values)
    columns = [term.values(rows) for term in claim.terms]
    if not claim.contrast.slope:
        columns.insert(0, np.array([_side(claim, row) for row in rows], dtype=np.float64))
    terms = np.stack(columns, axis=1)
    without = int((np.isfinite(values) & ~np.isfinite(terms).all(axis=1)).sum())
    notes = [note] if note else []
    notes += [f"{counted(without, 'run')} without a value of the covariates left out"] if without else []
    return arrange(rows, values, terms, claim.unit), notes


def _differences(claim: Claim, rows: list[Row], values: np.ndarray) -> tuple[list[Row], np.ndarray]:
    """Group minus against within each value of the pairing column, as a row of the group; half a pair is none."""
    pairs: dict[str, dict[float, list[int]]] = {}
    for place, row in enumerate(rows):
        side = _side(claim, row)
        if side is not None and math.isfinite(values[place]):
            pairs.setdefault(str(row[claim.contrast.within]), {0.0: [], 1.0: []})[side].append(place)
    whole = [sides for _, sides in sorted(pairs.items()) if sides[0.0] and sides[1.0]]
    differences = [values[sides[1.0]].mean() - values[sides[0.0]].mean() for sides in whole]
    return [rows[sides[1.0][0]] for sides in whole], np.array(differences, dtype=np.float64)


def _lacking(claim: Claim, runs: Runs) -> str:
    """What the design asks and the runs do not have, if anything."""
    design = claim.design
    enough = int((runs.seeds >= design.seeds).sum())
    if enough < design.units:
        return (
            f"Too few runs, no verdict: {enough} {claim.unit}s with at least {design.seeds} seeds, "
            f"the claim asks {design.units}"
        )
    if claim.contrast.averaged:
        return ""
    slopes = runs.terms.shape[1]
    if runs.units < slopes + 3:
        return f"Too few runs, no verdict: {runs.units} {claim.unit}s for {slopes} terms"
    first = np.array([runs.terms[runs.unit == unit, 0].mean() for unit in range(runs.units)])
    sides = {}
    if not claim.contrast.slope:
        sides = {"against the group": int((first == 0).sum()), "in the group": int((first == 1).sum())}
    for column, (low, high) in design.span.items():
        values = np.array([number(row[column]) for row in runs.rows])
        sides[f"with {column} up to {low}"] = len(np.unique(runs.unit[values <= low]))
        sides[f"with {column} from {high}"] = len(np.unique(runs.unit[values >= high]))
    for side, count in sides.items():
        if count < design.each_side:
            return f"Too narrow, no verdict: {count} {claim.unit}s {side}, the claim asks {design.each_side}"
    return f"No verdict: {claim.contrast.slope} is the same in all runs" if np.ptp(first) == 0 else ""


def _measure(claim: Claim, runs: Runs, resamples: int, seed: int) -> tuple[Estimate, float, float]:
    """The effect, its p against the margin, and the share of the contrast's variance that the covariates leave."""
    if claim.contrast.averaged:
        return *_mean(claim, runs), 1.0
    # groups keep their sizes in every resample; a slope's units are drawn with their places, as variants would be
    strata = None if claim.contrast.slope else runs.terms[:, 0].astype(np.int64)
    fit, samples, bounds = resampled(
        runs.terms, runs.outcome, runs.unit, level=claim.level, resamples=resamples, seed=seed, strata=strata
    )
    estimate = Estimate(float(fit.slopes[0, 0]), *bounds[0], runs.units, f"{claim.unit}s")
    return estimate, two_sided_p(samples[:, 0], claim.sign * claim.margin), float(fit.share_left[0, 0])


def _mean(claim: Claim, runs: Runs) -> tuple[Estimate, float]:
    """The mean over units of their runs' means, with Student's interval over units, and p against the margin."""
    from scipy.stats import t

    values = np.array([runs.outcome[runs.unit == unit].mean() for unit in range(runs.units)])
    freedom, value = len(values) - 1, float(values.mean())
    error = float(values.std(ddof=1)) / math.sqrt(len(values))
    half = float(t.ppf((1 + claim.level) / 2, freedom)) * error
    away = abs(value - claim.sign * claim.margin)
    p = 2 * float(t.sf(away / error, freedom)) if error else float(away == 0)
    return Estimate(value, value - half, value + half, runs.units, f"{claim.unit}s"), p


def _without_skipped(claim: Claim, rows: list[Row], curves: Curves, resamples: int, seed: int) -> str:
    runs, _ = _gather(claim, [row for row in rows if not row.get("skipped", False)], curves)
    if _lacking(claim, runs):
        return "Without the runs skipped early the design is not met."
    estimate, _, _ = _measure(claim, runs, resamples, seed)
    return f"Without the runs skipped early ({runs.units} {claim.unit}s): {estimated(estimate, _effect(claim))}."


def _effect(claim: Claim) -> str:
    unit = "points" if claim.metric_unit == "%" else claim.metric_unit
    return f"{unit} per {claim.contrast.per or claim.terms[0].step}" if claim.contrast.slope else unit
