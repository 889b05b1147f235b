"""The options of the study of invariance and of its task; their values: conf/{study,task}/invariance.yaml."""

from typing import Annotated, Any, Literal

from annotated_types import Ge, Gt, MinLen

from src.artifacts.options import Resamples, TrainedOptions
from src.core.errors import UserError
from src.core.options import Count, Seed, Whole, Words, options

VERSION = 2  # raised by hand when the findings change

Aggregation = Literal["none", "sum", "mean", "max"]
Measure = Literal["distance", "anova", "firing"]


@options
class Options:
    """What is measured of a network under the members of a transformation.

    Attributes:
        transformation: a family with its parameters, see `src.imageops.transformations`.
        images_per_class: the first ones of the test set; None: all.
        layers: patterns of names and kinds.
        aggregations: what becomes of a map before the statistics.
        after: what becomes of the spreads of a map's positions.
        same_equivariance: also after maps are moved back by the inverse transformation.
        untrained: the same network with random weights beside it.
        measures: further ones.
        ambiguous: classes, by number or name, that the transformation turns into each other.
        permutations: of class labels; 0: classes are not compared.
        pictures: of the most and of the least variable maps.
        batch: images times transformations in one pass.
        memory_gb: bound of what is kept and of the passes, in GiB.
        dtype: of the passes.
        kept_units: per layer, whose activations are kept for intervals.
    """

    transformation: dict[str, Any]
    images_per_class: Annotated[int, Ge(2)] | None
    layers: str | tuple[str, ...]
    aggregations: Aggregation | Annotated[tuple[Aggregation, ...], MinLen(1)]
    after: Literal["none", "mean"]
    same_equivariance: bool
    untrained: bool
    measures: tuple[Measure, ...]
    ambiguous: Annotated[tuple[int | str, ...], Words("a list of classes by number or name")]
    permutations: Whole
    pictures: Whole
    batch: Count
    memory_gb: Annotated[float, Gt(0)]
    dtype: Literal["float32", "float64"]
    kept_units: Count

    def __post_init__(self) -> None:
        chosen = list(self.each_aggregation)
        if len(set(chosen)) < len(chosen):
            raise UserError(
                f"study.aggregations={chosen}: name at least one of none, sum, mean, max, and each only once"
            )
        if self.after != "none" and "none" not in chosen and not self.same_equivariance:
            raise UserError(
                f"study.after={self.after}: averages the spreads of positions, which study.aggregations={chosen} have "
                "none of; add none to them, or set study.after=none"
            )

    @property
    def each_aggregation(self) -> tuple[Aggregation, ...]:
        """Also where a single one is given."""
        return self.aggregations if isinstance(self.aggregations, tuple) else (self.aggregations,)

    @property
    def each_layer(self) -> tuple[str, ...]:
        """Patterns, also where a single one is given."""
        return self.layers if isinstance(self.layers, tuple) else (self.layers,)


# What task=invariance is told beside its study.
@options
class Augmented:
    epochs: Count


@options
class Retrain:
    layers: Literal["none", "each", "kind"]
    epochs: Count


@options
class Invariance(TrainedOptions):
    study: dict[str, Any]
    transformation: dict[str, Any]
    augmented: Augmented
    match_accuracy: bool
    retrain: Retrain
    seed: Seed
    resamples: Resamples
