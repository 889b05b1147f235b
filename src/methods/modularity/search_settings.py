"""What a search for modules can be told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from src.core.errors import UserError, suggestion

Initialisation = Literal["heuristic", "random"]
Unranked = Literal["auc", "zero"]


@dataclass(frozen=True)
class SearchSettings:
    """Settings of the genetic search; the defaults are the paper's for SimCNN on CIFAR-10, but for ``unranked``.

    Attributes:
        generations: bred after the first one; generations 0..generations are all judged.
        population: solutions per class.
        parents: best solutions that breed.
        keep_parents: best solutions that pass on unchanged, at least the best one.
        mutation_percent: genes of a child that are replaced by coin flips, in percent.
        alpha: weight of accuracy against difference (1 - alpha) in the fitness.
        gamma: accuracy below which the weight of accuracy grows by what is missing.
        thresholds: accuracy asked of ensembles by size; for a size in between, that of the next smaller one.
        min_ensembles, max_ensembles: how many ensembles survive a level at least and at most.
        patience: generations without improvement after which to stop; None never stops early.
        sensitive_ratios, other_ratios: kept shares of genes of sensitive and other layers at the start.
        initialisation: ``heuristic`` as above, or ``random`` coin flips.
        unranked: what solutions outside every surviving ensemble are ranked by: their own one-vs-rest ``auc``, below
            all others, or the paper's ``zero`` for all.
        seed: of every draw.

    Raises:
        UserError: a value out of range.
    """

    generations: int = 200
    population: int = 100
    parents: int = 50
    keep_parents: int = 20
    mutation_percent: float = 5.0
    alpha: float = 0.9
    gamma: float = 0.9
    thresholds: Mapping[int, float] = field(default_factory=lambda: {2: 0.95, 4: 0.95, 8: 0.85, 10: 0.8})
    min_ensembles: int = 50
    max_ensembles: int = 500
    patience: int | None = 20
    sensitive_ratios: Sequence[float] = (0.6, 0.7, 0.8)
    other_ratios: Sequence[float] = (0.4, 0.5, 0.6, 0.7)
    initialisation: Initialisation = "heuristic"
    unranked: Unranked = "auc"
    seed: int = 0

    def __post_init__(self) -> None:
        for key in ("sensitive_ratios", "other_ratios"):
            object.__setattr__(self, key, tuple(float(ratio) for ratio in getattr(self, key)))
            _check(key, getattr(self, key), "at least one ratio, each above 0 and at most 1", _are_ratios)
        thresholds = {int(size): float(accuracy) for size, accuracy in sorted(self.thresholds.items())}
        object.__setattr__(self, "thresholds", thresholds)
        _check(
            "thresholds", thresholds, "an accuracy from 0 to 1 for ensemble sizes from 2",
            lambda found: all(size >= 2 and 0 <= accuracy <= 1 for size, accuracy in found.items()),
        )  # fmt: skip
        for key, lowest in {"generations": 0, "population": 1, "keep_parents": 1, "min_ensembles": 1}.items():
            _at_least(key, getattr(self, key), lowest)
        _at_least("parents", self.parents, 1)
        span = f"keep_parents={self.keep_parents} to population={self.population}"
        _between("parents", self.parents, self.keep_parents, self.population, span)
        _at_least("max_ensembles", self.max_ensembles, self.min_ensembles)
        if self.patience is not None:
            _at_least("patience", self.patience, 1)
        _between("mutation_percent", self.mutation_percent, 0, 100, "0 to 100")
        _between("alpha", self.alpha, 0, 1, "0 to 1")
        _between("gamma", self.gamma, 0, 1, "0 to 1")
        for key, allowed in {"initialisation": get_args(Initialisation), "unranked": get_args(Unranked)}.items():
            if getattr(self, key) not in allowed:
                raise UserError(f"search.{key}={getattr(self, key)}: {suggestion(str(getattr(self, key)), allowed)}")


def _are_ratios(ratios: Sequence[float]) -> bool:
    return len(ratios) > 0 and all(0 < ratio <= 1 for ratio in ratios)


def _check(key: str, value: Any, allowed: str, holds: Any) -> None:
    if not holds(value):
        shown = list(value) if isinstance(value, tuple) else value
        raise UserError(f"search.{key}={shown}: {allowed}; set search.{key}")


def _at_least(key: str, value: int, lowest: int) -> None:
    _check(
        key, value, f"must be a whole number, {lowest} or more", lambda found: type(found) is int and found >= lowest
    )


def _between(key: str, value: float, low: float, high: float, words: str) -> None:
    _check(key, value, f"must lie from {words}", lambda found: type(found) in (int, float) and low <= found <= high)
