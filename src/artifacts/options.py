"""What the making of networks is told, by stage. Imports no torch: a sweep's parent reads it.

A task's options are those of the stages that it goes through and its own (src/tasks/options.py). Two jobs whose options
of a stage are equal share what the stage leaves in the store.
"""

from typing import Annotated, Any, Literal

from annotated_types import Ge, Gt, Le, MinLen, Predicate

from src.core.errors import UserError
from src.core.options import Count, Seed, Share, Whole, Words, options, options_of
from src.data.class_names import LISTS, PUBLISHED
from src.methods.modularity.search_settings import SearchSettings

#: Versions of what jobs leave in the store, raised by hand when code changes what it makes: it is then made again.
ENTRY_VERSIONS = {"checkpoint": 1, "variant": 1, "modules": 2, "module": 1, "composed": 2}

#: ``data``, ``model``, ``optim``, ``training``, ``select``, ``seed``; its parts are checked by what they name.
Recipe = dict[str, Any]
#: Options of a data module.
Data = dict[str, Any]
#: ``name``, and what the tree of this name needs.
TreeOptions = dict[str, Any]

Resamples = Annotated[int, Ge(2)]
Ratio = Annotated[float, Gt(0), Le(1)]


def _are_targets(given: Any) -> bool:
    classes = given if isinstance(given, tuple | list) else (given,)
    right = all(type(name) is int or (isinstance(name, str) and name) for name in classes)
    return right and len(set(map(str, classes))) == len(classes) > 0


Targets = Annotated[
    int | str | tuple[int | str, ...],
    Predicate(_are_targets),
    Words("a class by number or name, or a list of different ones"),
]


@options
class TrainedOptions:
    """A network trained from a recipe."""

    recipe: Recipe


@options
class MemoryOptions:
    """What may be done so that a training fits into memory."""

    budget_gb: Literal["auto"] | Annotated[float, Gt(0)]
    allow: tuple[Literal["bf16", "recompute", "micro_batches"], ...]


@options
class VariantOptions(TrainedOptions):
    """One variant of the width study."""

    variant: int | str | tuple[float, ...]
    memory: MemoryOptions


@options
class StrongOptions:
    """A strong network."""

    strong: Recipe


@options
class Importance:
    """How much a kernel matters for a class."""

    confidence: Share
    tap: Literal["before_pool", "after_pool"]
    order: Literal["l1", "random"]


@options
class Sensitivity:
    """Which layers the search is careful with."""

    ratios: Annotated[tuple[Ratio, ...], MinLen(1), Words("a list of numbers above 0, up to 1")]
    kept: Share
    tolerance: Share
    layers: Annotated[Literal["auto"] | tuple[int, ...], Words("auto, or a list of layer numbers")]


@options
class ModulesOptions(StrongOptions):
    """The modules of a strong network."""

    importance: Importance
    sensitivity: Sensitivity
    search: dict[str, Any]
    seed: Seed

    def __post_init__(self) -> None:
        options_of(SearchSettings, {**self.search, "seed": self.seed}, "search")  # before the strong network trains


@options
class ExtractedOptions(ModulesOptions):
    """All modules together as one network."""

    module_score: Literal["margin", "logit"]


@options
class PatchedOptions(ExtractedOptions):
    """A weak network with modules of a strong one."""

    weak: Recipe
    target_class: Targets
    calibration: Literal["platt", "min_max", "percentile", "outlier"]

    @property
    def targets(self) -> list[int | str]:
        """Also where a single one is given."""
        return list(self.target_class) if isinstance(self.target_class, tuple) else [self.target_class]


@options
class CompositionOptions:
    """How the answers of a tree's modules become one."""

    rule: Literal["soft", "hard", "top_m", "beam", "product", "additive", "logarithmic"]
    m: Count
    beam: Count
    route: Literal["image", "crop"]


ExpertCap = Annotated[Literal["smallest"] | Count | None, Words("null, smallest or a whole number from 1")]


@options
class AnswerOptions:
    """How the modules of a tree answer together, which no training depends on."""

    composition: CompositionOptions
    temperature: Literal["none", "fit"]
    views: Literal["whole", "centre", "five", "ten"]


@options
class ModuleTreeOptions(AnswerOptions):
    """Modules of a label tree, and how they are composed."""

    router: Recipe
    expert: Recipe
    tree: TreeOptions
    expert_cap: ExpertCap
    seed: Seed

    def recipe_of(self, role: Literal["router", "expert"]) -> Recipe:
        """The recipe of a node's module."""
        return self.router if role == "router" else self.expert


#: By what the monolith is as large as the modules; by data alone it has the size that its recipe says.
Match = Literal["parameters", "macs", "data"]


@options
class MatchedOptions(ModuleTreeOptions):
    """Modules, and the monolith that they are compared with."""

    monolith: Recipe
    match: Match

    @property
    def matched(self) -> Match:
        """How the monolith's size is chosen: ``match``, or by data where its network has no width to set."""
        return self.match if "width" in self.monolith["model"] else "data"


@options
class ComposedOptions(MatchedOptions):
    """A network composed of modules, which may be trained together, and its controls."""

    modules: Literal["separate", "together", "trunk"]
    finetune_epochs: Whole
    control: Literal["random", "none"]

    def __post_init__(self) -> None:
        way, epochs = self.modules, self.finetune_epochs
        if self.expert_cap is not None and (epochs or way != "separate"):
            raise UserError(f"expert_cap={self.expert_cap}: modules trained together see all images; set it to null")
        if epochs and way != "separate":
            raise UserError(f"finetune_epochs={epochs}: modules={way} are trained in one training already; set it to 0")


@options
class ImagesOptions:
    """A network that comes trained, and the images that it is measured on."""

    data: Data


def _are_classes(given: Any) -> bool:
    if given is None or isinstance(given, str):
        return given is None or given in LISTS
    return len(set(map(str, given))) == len(given) > 0


def _is_normalisation(given: Any) -> bool:
    if given is None or isinstance(given, str):
        return given is None or given in PUBLISHED
    values = [value if isinstance(value, list) else [value] for value in (given.get("mean"), given.get("std"))]
    numbers = all(type(number) in (int, float) for each in values for number in each)
    return set(given) == {"mean", "std"} and numbers and all(values) and min(values[1]) > 0


Classes = Annotated[
    str | tuple[str | int, ...] | None,
    Predicate(_are_classes),
    Words(f"null, a list of different names, or a known list: {', '.join(LISTS)}"),
]
Normalisation = Annotated[
    str | dict[str, Any] | None,
    Predicate(_is_normalisation),
    Words(f"null, {', '.join(PUBLISHED)}, or {{mean: [...], std: [...]}} with numbers, each std above 0"),
]


@options
class CheckpointOptions:
    """The section ``subject`` of a network from a file; what is null is as the file's description or the images say.

    Attributes:
        model: name and options, as of a recipe.
        classes: in the order of the network's outputs.
        normalisation: of images in 0..1.
        training: as the claims about it call it.
        answers: with which classes it may answer, all of its own or those of the images.
    """

    kind: Literal["checkpoint"]
    path: Annotated[str, MinLen(1), Words("the path of a file of weights")]
    model: Annotated[dict[str, Any] | None, Words("null, or a file of conf/model by model@subject.model=NAME")]
    classes: Classes
    normalisation: Normalisation
    training: Literal["plain", "stylised"]
    answers: Literal["all", "data"]
