"""Verdicts as tables: for a page, and as Markdown for the README."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from src.statistics.claims.judging import Verdict
from src.statistics.claims.words import NOTHING, chance, estimated


def verdict_table(verdicts: Sequence[Verdict]) -> dict[str, list[Any]]:
    """A row per claim and data set; ``effect`` as text with its interval, as its unit differs from row to row."""
    return {
        "claim": [verdict.statement for verdict in verdicts],
        "data": [verdict.data for verdict in verdicts],
        "verdict": [verdict.verdict for verdict in verdicts],
        "effect": [_effect(verdict) for verdict in verdicts],
        "p_holm": [None if math.isnan(verdict.p_holm) else verdict.p_holm for verdict in verdicts],
        "units": [verdict.estimate.n or None for verdict in verdicts],
        "reason": [f"{verdict.reason} {verdict.sensitivity}".strip() for verdict in verdicts],
        "source": [verdict.source for verdict in verdicts],
    }


def readme_table(verdicts: Sequence[Verdict]) -> str:
    """A table in GitHub's Markdown: claim with its source, data, estimate with interval, Holm's p, verdict, n."""
    levels = sorted({f"{verdict.level:.0%}" for verdict in verdicts})
    title = f"Estimate [{levels[0]} interval]" if len(levels) == 1 else "Estimate [interval]"
    head = ["Claim", "Data", title, "p (Holm)", "Verdict", "n"]
    lines = [head, ["---"] * len(head)]
    lines += [
        [
            f"{verdict.statement} ({verdict.source})",
            verdict.data,
            _effect(verdict),
            chance(verdict.p_holm),
            f"**{verdict.verdict}**" if verdict.verdict in ("supported", "contradicted") else verdict.verdict,
            f"{verdict.estimate.n} {verdict.estimate.unit}" if verdict.estimate.n else NOTHING,
        ]
        for verdict in verdicts
    ]
    return "\n".join(f"| {' | '.join(_cell(text) for text in line)} |" for line in lines) + "\n"


def _effect(verdict: Verdict) -> str:
    return estimated(verdict.estimate, verdict.effect)


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
