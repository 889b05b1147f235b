"""How verdicts are written: in a sentence, as a table for a page, and as Markdown for the README."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from src.core.estimate import Estimate
from src.core.result import Table

if TYPE_CHECKING:
    from src.statistics.claims.judging import Verdict

NOTHING = "–"


def estimated(estimate: Estimate, effect: str) -> str:
    """``-0.43 [-0.61, -0.25] points per layer``; points are shown times 100."""
    factor = 100 if effect.split(" ")[0] == "points" else 1
    values = [factor * value for value in (estimate.value, estimate.low, estimate.high)]
    if not all(math.isfinite(value) for value in values):
        return NOTHING
    largest = max(abs(value) for value in values)
    decimals = min(4, max(0, 1 - math.floor(math.log10(largest)))) if largest else 0
    value, low, high = (f"{value:+.{decimals}f}" for value in values)
    return f"{value} [{low}, {high}] {effect}"


def counted(count: int, noun: str) -> str:
    """``1 run``, ``3 runs``."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def verdict_table(verdicts: "Sequence[Verdict]") -> Table:
    """A row per claim and data set; ``effect`` as text with its interval, as its unit differs from row to row."""
    return {
        "claim": [verdict.statement for verdict in verdicts],
        "data": [verdict.data for verdict in verdicts],
        "verdict": [verdict.verdict for verdict in verdicts],
        "effect": [estimated(verdict.estimate, verdict.effect) for verdict in verdicts],
        "p_holm": [None if math.isnan(verdict.p_holm) else verdict.p_holm for verdict in verdicts],
        "units": [verdict.estimate.n or None for verdict in verdicts],
        "reason": [f"{verdict.reason} {verdict.sensitivity}".strip() for verdict in verdicts],
        "source": [verdict.source for verdict in verdicts],
    }


def readme_table(verdicts: "Sequence[Verdict]") -> str:
    """A table in GitHub's Markdown: claim with its source, data, estimate with interval, Holm's p, verdict, n."""
    levels = sorted({f"{verdict.level:.0%}" for verdict in verdicts})
    title = f"Estimate [{levels[0]} interval]" if len(levels) == 1 else "Estimate [interval]"
    head = ["Claim", "Data", title, "p (Holm)", "Verdict", "n"]
    lines = [head, ["---"] * len(head)]
    lines += [
        [
            f"{verdict.statement} ({verdict.source})",
            verdict.data,
            estimated(verdict.estimate, verdict.effect),
            f"{verdict.p_holm:.2g}" if math.isfinite(verdict.p_holm) else NOTHING,
            f"**{verdict.verdict}**" if verdict.verdict in ("supported", "contradicted") else verdict.verdict,
            f"{verdict.estimate.n} {verdict.estimate.unit}" if verdict.estimate.n else NOTHING,
        ]
        for verdict in verdicts
    ]
    return "\n".join(f"| {' | '.join(_cell(text) for text in line)} |" for line in lines) + "\n"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
