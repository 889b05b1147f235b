"""What a search for modules can be told."""

from dataclasses import field
from typing import Annotated, Literal

from annotated_types import Ge, Gt, Le, Lt, MinLen

from src.core.errors import UserError
from src.core.options import Count, Seed, Share, Whole, Words, options

Ratios = Annotated[
    tuple[Annotated[float, Gt(0), Le(1)], ...], MinLen(1), Words("a list of ratios, each above 0 and at most 1")
]
Thresholds = Annotated[
    dict[Annotated[int, Ge(2)], Share], Words("an accuracy from 0 to 1 for each of some ensemble sizes from 2")
]
Way = Literal["auto", "functional", "fused", "native", "folded"]
Precision = Literal["fp32", "bf16", "tf32"]
Racing = Annotated[
    tuple[Annotated[float, Gt(0), Lt(1)], ...], Words("a list of shares of the images, each above 0 and below 1")
]


@options
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
        racing: shares of the images, rising, after which half of the candidates leave who would not breed then; none:
            all candidates see all images.
        evaluator: how sub-networks are run (see ``src.methods.modularity.judges``). precision: of their numbers.
        memory_gb: what the search may hold in memory.
        seed: of every draw.
    """

    generations: Whole = 200
    population: Count = 100
    parents: Count = 50
    keep_parents: Count = 20
    mutation_percent: Annotated[float, Ge(0), Le(100)] = 5.0
    alpha: Share = 0.9
    gamma: Share = 0.9
    thresholds: Thresholds = field(default_factory=lambda: {2: 0.95, 4: 0.95, 8: 0.85, 10: 0.8})
    min_ensembles: Count = 50
    max_ensembles: Count = 500
    patience: Count | None = 20
    sensitive_ratios: Ratios = (0.6, 0.7, 0.8)
    other_ratios: Ratios = (0.4, 0.5, 0.6, 0.7)
    initialisation: Literal["heuristic", "random"] = "heuristic"
    unranked: Literal["auc", "zero"] = "auc"
    racing: Racing = ()
    evaluator: Way = "auto"
    precision: Precision = "fp32"
    memory_gb: Annotated[float, Gt(0)] = 2.0
    seed: Seed = 0

    def __post_init__(self) -> None:
        if not self.keep_parents <= self.parents <= self.population:
            raise UserError(
                f"search.parents={self.parents}: must lie from keep_parents={self.keep_parents} to "
                f"population={self.population}; set search.parents"
            )
        if self.max_ensembles < self.min_ensembles:
            raise UserError(
                f"search.max_ensembles={self.max_ensembles}: must be a whole number, {self.min_ensembles} or more; set "
                "search.max_ensembles"
            )
        if list(self.racing) != sorted(set(self.racing)):
            raise UserError(
                f"search.racing={list(self.racing)}: must rise from share to share, as [0.25, 0.5]; set search.racing"
            )
