"""The options of the study of relevance; conf/study/relevance.yaml has their values and comments."""

from typing import Annotated

from annotated_types import Ge, Gt, Le, Lt, MinLen, Predicate

from src.core.errors import UserError
from src.core.options import Count, Whole, Words, options
from src.methods.locality.levels import check_level
from src.methods.relevance.methods import Biases, InputRule, Name

VERSION = 1  # raised by hand when the findings change

LABELLED, PREDICTED = "labelled", "predicted"  # no "true", which a command line reads as a boolean
EXACT = "outline"  # the edges of masks that are exact
Part = Annotated[float, Gt(0), Lt(1)]


@options
class Edges:
    """What counts as an edge: one of the detectors of `src.methods.locality.levels`, or ``outline`` of exact masks."""

    name: str
    level: float

    def __post_init__(self) -> None:
        if self.name != EXACT and not self.name.startswith("edges"):
            raise UserError(
                f"study.edges.name={self.name}: allowed are outline, edges, edges_denoised, edges_sobel ..."
            )
        check_level(self.name, self.level)


@options
class Options:
    """Which maps are made, and what they are held against.

    Attributes:
        methods: of `src.methods.relevance.methods`; the first is the one whose best and worst maps are shown.
        input_rule, biases: of layer-wise relevance.
        target: the class that is explained: the true one, the predicted one, or one for all images.
        removal: shares of the pixels that are removed; none: this check is left out.
        random_orders: of pixels, that removal is held against.
        steps: in which the network's weights are randomised, from the top and from the bottom; 1: all at once; 0: left
            out.
        edges: what counts as an edge.
        tolerance: pixels that edges are widened by.
        shifts: of the edges in a circle, that overlap is held against.
        region: share of the pixels that counts as relevant; None: those above the mean of their sign.
        images: of the test set, of each class in turn; None: all.
        pictures: images shown.
        batch: images explained at once.
    """

    methods: Annotated[
        tuple[Name, ...],
        MinLen(1),
        Predicate(lambda names: len(set(names)) == len(names)),
        Words("a list of different methods, at least one"),
    ]
    input_rule: InputRule
    biases: Biases
    target: int | str
    removal: Annotated[
        tuple[Part, ...],
        Predicate(lambda shares: list(shares) == sorted(set(shares))),
        Words("a rising list of shares above 0 and below 1"),
    ]
    random_orders: Annotated[int, Ge(1), Le(100)]
    steps: Whole
    edges: Edges
    tolerance: Whole
    shifts: Count
    region: Part | None
    images: Count | None
    pictures: Whole
    batch: Count
