"""What the study of invariance finds: tensors, estimates and plain numbers."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

from torch import Tensor

from src.core.estimate import Estimate
from src.core.shown import Shown
from src.imageops.transformations import TransformationSet
from src.methods.invariance.class_conditional import ClassConditional
from src.statistics.bootstrap import Resampled
from src.studies.invariance.options import Options

Role = Literal["network", "plain", "augmented", "untrained"]
EXAMINED: Final = "network"
PLAIN: Final = "plain"
AUGMENTED: Final = "augmented"
UNTRAINED: Final = "untrained"

#: A way of measuring: an aggregation, or each position after maps were moved back.
Way = Literal["none", "sum", "mean", "max", "same_equivariance"]
EQUIVARIANCE: Final = "same_equivariance"


#: of a network, in tables and metrics
ACCURACIES = ("accuracy", "transformed_accuracy", "transformed_accuracy_unambiguous")


@dataclass(frozen=True)
class LayerVariability(Shown):
    """NV of one layer: the spread over transformations as a share of that over images.

    Attributes:
        nv, stratified: mean over finite units, of all images and within classes; intervals over images.
        transformation_spread, image_spread: means over units.
        ratios: float64, of every unit; NaN where it is dead, infinite where only the transformation moves it.
        kept_units: whose activations the intervals are from.
    """

    name: str
    kind: str
    nv: Estimate
    stratified: Estimate
    transformation_spread: float
    image_spread: float
    ratios: Tensor
    dead: int
    infinite: int
    kept_units: int


@dataclass(frozen=True)
class Variability:
    """NV of a network in one way of measuring.

    Attributes:
        units, dead, infinite: how many, over all layers.
        over_layers, over_layers_stratified: mean over layers of their finite units.
        over_units: mean over all finite units of all layers.
        mean: over layers, with its interval over images; ``resampled_mean`` has the resamples, to compare networks.
        rise: mean NV of the second half of the layers less that of the first, with ``resampled_rise``.
        rank_correlation: of NV with depth.
        layers: none of a network that stands aside.
    """

    units: int
    dead: int
    infinite: int
    over_layers: float
    over_layers_stratified: float
    over_units: float
    mean: Estimate
    resampled_mean: Resampled
    rise: Estimate
    resampled_rise: Resampled
    rank_correlation: Estimate
    layers: tuple[LayerVariability, ...] = ()


@dataclass(frozen=True)
class LayerDistance:
    """ND of a layer: mean over channels, and how many have none."""

    layer: str
    nd: float
    dead: int
    infinite: int


@dataclass(frozen=True)
class LayerMoved:
    """Share of a layer's units that the transformation moves beyond chance, by two designs, above ``critical`` F."""

    layer: str
    moved: float
    moved_independent: float
    critical: float
    dead: int


@dataclass(frozen=True)
class LayerScore:
    """How a layer's units go on firing under the transformation."""

    layer: str
    score: float
    mean_score: float
    simple: float
    silent: int


@dataclass(frozen=True)
class LayerTurnedBack:
    """How far a layer's maps, moved back, lie from those of the image as it is."""

    layer: str
    distance: float
    relative_distance: float
    zero_maps: int


@dataclass(frozen=True)
class Further:
    """Further measures of a network, layer by layer; empty where they were not asked for."""

    distance: tuple[LayerDistance, ...] = ()
    anova: tuple[LayerMoved, ...] = ()
    firing: tuple[LayerScore, ...] = ()
    equivariance: tuple[LayerTurnedBack, ...] = ()


@dataclass(frozen=True)
class LastLayer(Shown):
    """The last measured layer, which is the output where all layers are measured.

    Attributes:
        units: of the layer; ``kept_units`` of them were tested.
        by_class: float64 (classes with images, units), NV of each unit among images of one class; None where units
            are not one for each class.
        test: whether it is more invariant for some classes; None where nobody asked.
    """

    name: str
    units: int
    kept_units: int
    by_class: Tensor | None
    test: ClassConditional | None


@dataclass(frozen=True)
class Network(Shown):
    """One network.

    Attributes:
        aside: whether it is told of as a whole alone, beside the networks that are compared.
        accuracy: of images as they are; None where all transformations change them.
        transformed_accuracy: over all transformations; ``unambiguous_accuracy``: of classes that are not exchanged,
            None where none are.
        accuracies: by transformation; none of a network that stands aside.
        class_accuracies: float64 (classes with images, transformations), likewise.
        variability: in each way of measuring.
    """

    role: Role
    aside: bool
    accuracy: Estimate | None
    transformed_accuracy: Estimate
    unambiguous_accuracy: Estimate | None
    variability: Mapping[Way, Variability]
    accuracies: tuple[Estimate, ...] = ()
    class_accuracies: Tensor | None = None
    further: Further = field(default_factory=Further)
    last: LastLayer | None = None

    @property
    def shares(self) -> dict[str, Estimate]:
        """Name in tables and metrics -> each accuracy that there is."""
        shares = zip(ACCURACIES, (self.accuracy, self.transformed_accuracy, self.unambiguous_accuracy), strict=True)
        return {name: share for name, share in shares if share is not None}


@dataclass(frozen=True)
class PixelControl:
    """NV of pixels, over all images and within classes: of the transformed image, and of it once it is moved back."""

    image: float
    image_stratified: float
    interpolation: float
    interpolation_stratified: float


@dataclass(frozen=True)
class PixelControls(Shown):
    """What the transformation does to the images themselves, of so many ``images``.

    Attributes:
        errors: float64 (T,), root mean square difference of grey values 0..1, moved and moved back.
    """

    images: int
    errors: Tensor
    by_way: Mapping[Way, PixelControl]


@dataclass(frozen=True)
class ShownMap(Shown):
    """A map of a layer with its NV: float (members, h, w), under some members of the transformation."""

    layer: str
    channel: int
    nv: float
    values: Tensor


@dataclass(frozen=True)
class ShownMaps(Shown):
    """The least and the most variable maps of a network, of one image.

    Attributes:
        label: of the image.
        members: numbers of the transformations.
        moved: float (members, h, w), grey values of the image.
    """

    label: int
    members: tuple[int, ...]
    moved: Tensor
    least: tuple[ShownMap, ...]
    most: tuple[ShownMap, ...]


@dataclass(frozen=True)
class PartOfAll:
    """Relative error of the mean NV over layers of fewer images and transformations; mean of several parts."""

    images: int
    transformations: int
    error: float


@dataclass(frozen=True)
class Comparison:
    """The augmented network against the plain one.

    Attributes:
        accuracy: role -> share of validation images right, of the epochs that are compared.
        difference: way -> NV of the augmented less that of the plain network, on the same resamples.
        complete: the plain network as it was at the end of its training; its rise tells of lower layers.
        learned: way -> its rise less that of the untrained network; empty where there is none.
    """

    accuracy: Mapping[Role, float]
    difference: Mapping[Way, Estimate]
    complete: Network
    learned: Mapping[Way, Estimate]

    @property
    def gap(self) -> float:
        """Between the validation accuracies."""
        return abs(self.accuracy[AUGMENTED] - self.accuracy[PLAIN])


@dataclass(frozen=True)
class Findings(Shown):
    """Of one network, or of several on the same images.

    Attributes:
        images: how many; ``labels``: those of them that occur, ascending.
        ambiguous: labels of classes that the transformation exchanges.
        networks: the first one is looked into; those that stand aside come last.
        pixels: None where no pixel always holds the image.
        sample_size: parts of the first network's images and transformations.
    """

    options: Options
    transformations: TransformationSet
    classes: tuple[str, ...]
    images: int
    labels: tuple[int, ...]
    ambiguous: tuple[int, ...]
    networks: tuple[Network, ...]
    pixels: PixelControls | None
    maps: ShownMaps | None
    sample_size: tuple[PartOfAll, ...]
    comparison: Comparison | None = None

    @property
    def shown(self) -> tuple[Network, ...]:
        """The networks that do not stand aside."""
        return tuple(network for network in self.networks if not network.aside)

    @property
    def trained(self) -> tuple[Network, ...]:
        """Those of them whose answers mean something."""
        return tuple(network for network in self.shown if network.role != UNTRAINED)
