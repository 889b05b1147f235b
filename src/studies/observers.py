"""A network beside other observers of the same images: people, and other networks, by their decisions in files."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd

from src.core.result import Panel
from src.methods.locality.decisions import Agreement, agreement, mean_ranks, pairs

if TYPE_CHECKING:
    from src.report.session import Session

NETWORK = "network"
PERSON = "subject-"  # what the names of people begin with in the public files
DECISIONS = "decisions.csv"  # in the job's folder
PEOPLE = "people among themselves"


@dataclass(frozen=True)
class Comparison:
    """How alike observers err.

    Attributes:
        agreements: of the network, and of each other network of the files, with the people; the network's first.
        ranks: of the same, among themselves.
        ceiling: of every two people, what an observer of their kind could reach; None: there is only one.
        people: their names.
    """

    agreements: Mapping[str, Agreement]
    ranks: Mapping[str, float]
    ceiling: Agreement | None
    people: tuple[str, ...]


def compared(
    decisions: Sequence[Mapping[str, Any]],
    table: pd.DataFrame,
    session: Session,
    left_out: Collection[str] = (),
) -> Comparison:
    """The network with all observers of a file.

    Args:
        decisions: the network's. table: the others', as `read_decisions` gives them.
        left_out: conditions that do not count.

    Raises:
        UserError: the network and the others share no image.
    """
    together = pd.concat([pd.DataFrame(decisions), table], ignore_index=True)
    together = together[~together["condition"].isin(left_out)]
    observers = sorted(table["subj"].unique())
    people = [name for name in observers if name.startswith(PERSON)]
    if not people:
        session.event(f"study.observers: none is called {PERSON}...; all are compared with, as people are")
        people = observers
    networks = [NETWORK, *(name for name in observers if name not in people)]
    agreements = {name: agreement(list(pairs(together, [name], people))) for name in networks}
    among = list(pairs(together, people, people))
    return Comparison(agreements, mean_ranks(agreements), agreement(among) if among else None, tuple(people))


def observers_panel(section: str, comparison: Comparison) -> Panel:
    """A row per network, and one for people among themselves."""
    listed: list[tuple[str, Agreement]] = list(comparison.agreements.items())
    if comparison.ceiling is not None:
        listed.append((PEOPLE, comparison.ceiling))
    rows = [
        {"observer": name, "kappa": each.kappa, "observed": each.observed,
         "accuracy_difference": each.accuracy_difference, "squared_difference": each.squared_difference,
         "mean_rank": comparison.ranks.get(name), "pairs": each.pairs, "conditions": each.conditions}
        for name, each in listed
    ]  # fmt: skip
    caption = (
        f"How alike errors are to those of {', '.join(comparison.people)} (Geirhos et al. 2020, 2021): means over "
        "conditions for each two observers, then over those. Observed: the share of trials that both get right or both "
        "wrong; kappa: what of it is beyond chance at their accuracies; squared difference: of accuracies, published. "
        f"'{PEOPLE}' is the ceiling. Mean rank: by squared difference, observed and kappa, among "
        f"{', '.join(comparison.agreements)}, and no others."
    )
    return Panel(section, "observers", rows, caption, {"accuracy_difference": "%", "observed": "%"})
