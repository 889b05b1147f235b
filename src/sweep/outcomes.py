"""What the jobs of this process came to: decides the exit code, and is told as a table after a sweep."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

_outcomes: list[Mapping[str, Any]] = []


def forget() -> None:
    """Begin anew, where one process runs several command lines."""
    _outcomes.clear()


def record(outcome: Mapping[str, Any]) -> None:
    """Note a job's outcome: ``status``, ``label``, ``verdict``, ``folder``."""
    _outcomes.append(outcome)


def tell(outcome: Mapping[str, Any]) -> None:
    """One line for a job of a sweep that has ended, at once: its own output is silent."""
    print(f"{outcome['status']:<7} {outcome['label']:<24} {outcome['verdict']}", flush=True)


def finish_sweep(outcomes: Sequence[Mapping[str, Any]], overview: Path | None) -> None:
    """Take over the outcomes of all jobs of a sweep, wherever they ran, and count them."""
    _outcomes[:] = outcomes
    failed = sum(outcome["status"] != "ok" for outcome in outcomes)
    print(f"\n{len(outcomes)} jobs: {len(outcomes) - failed} ended, {failed} failed")
    if overview:
        print(f"overview  {overview}")


def exit_code() -> int:
    """1 if any job failed."""
    return int(any(outcome["status"] != "ok" for outcome in _outcomes))
