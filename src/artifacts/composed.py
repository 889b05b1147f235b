"""Label trees as a configuration names them, and networks composed of their modules, from the store or made now."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from src.artifacts.artifacts import Artifacts
from src.artifacts.composition import composed, composition_of, confusion, views_of
from src.artifacts.matching import matched_recipe
from src.artifacts.network import Trained
from src.artifacts.options import ComposedOptions, MatchedOptions
from src.artifacts.trained import check_recipe, images_of, trained
from src.artifacts.tree_modules import TreeModules, modules_of_tree, node_images
from src.artifacts.tree_training import parts_of, trained_together
from src.core.errors import UserError, suggestion
from src.data.datamodule import ImageData
from src.methods.hierarchy.composition import Composition
from src.methods.hierarchy.nodes import Tree
from src.methods.hierarchy.tree import clustered, from_plain, from_superclasses, random_like, read_tree, regrouped
from src.networks.subjects import Subject

MONOLITH = "monolith"  # the key of its recipe, and its name in tables
TREES = ("superclasses", "data", "random", "clustered", "regrouped", "file")


@dataclass(frozen=True)
class Networks:
    """A modular network and what it is compared with, all of the same images.

    Attributes:
        tree: of the modules.
        composition: how the modules answer together, as the configuration says.
        composed: the modules as one network, by that rule.
        control: modules of a tree of the same shape, the classes dealt at random; None where there is none.
    """

    data: ImageData
    tree: Tree
    monolith: Trained
    modules: TreeModules
    composition: Composition
    composed: Subject
    control: TreeModules | None

    @property
    def uses(self) -> list[str]:
        """Digests of all that they are made of."""
        return [self.monolith.digest, *self.modules.uses, *(self.control.uses if self.control else ())]


def networks_of(options: ComposedOptions, data: ImageData, artifacts: Artifacts) -> Networks:
    """Everything that has to be trained, from the store where it is there.

    Args:
        data: of the monolith.

    Raises:
        UserError: a recipe is wrong, or a node of a tree has no images: said before anything trains.
    """
    views_of(options, data)
    tree = tree_in(options, data, artifacts)
    random = random_like(tree, options.seed) if options.control == "random" else None
    _check_parts(options, [tree] if random is None else [tree, random], data)
    recipe = matched_recipe(options, tree, data, artifacts.session)
    monolith = trained(recipe, artifacts, role=MONOLITH, data=data)
    modules, subject = modules_in_tree(options, tree, data, artifacts)
    control = None
    if random is not None:
        control = modules_of_tree(options, random, data, artifacts, role="random tree")
    return Networks(data, tree, monolith, modules, composition_of(options, modules), subject, control)


def _check_parts(options: ComposedOptions, trees: Sequence[Tree], data: ImageData) -> None:
    for role in (MONOLITH, "router", "expert"):
        check_recipe(getattr(options, role), role)
    for tree in trees:
        for node in range(len(tree.nodes)):
            node_images(options, tree, node, data)


def composed_of(options: ComposedOptions, artifacts: Artifacts) -> tuple[Subject, ImageData, list[str]]:
    """The composed network alone, the images of its modules, and the digests of what it is made of."""
    data = images_of(options.monolith, artifacts.session, "monolith", "monolith")
    tree = tree_in(options, data, artifacts)
    modules, subject = modules_in_tree(options, tree, data, artifacts)
    return subject, data, modules.uses


def tree_in(options: MatchedOptions, data: ImageData, artifacts: Artifacts) -> Tree:
    """The tree of the configuration; for a clustered one the monolith is trained first."""

    def confusions() -> Tensor:
        network = trained(options.monolith, artifacts, role=MONOLITH, data=data)
        return confusion(network, "validation")

    return tree_of(options.tree, data, confusions)


def modules_in_tree(
    options: ComposedOptions, tree: Tree, data: ImageData, artifacts: Artifacts
) -> tuple[TreeModules, Subject]:
    """The modules one by one, and the network that they make, which may have been trained further as a whole."""
    apart = options.modules == "separate"
    modules = modules_of_tree(options, tree, data, artifacts) if apart else None
    if modules is None or options.finetune_epochs:
        modules = parts_of(trained_together(options, tree, data, artifacts, modules), options, tree)
    return modules, composed(options, modules, data)


def tree_of(options: Mapping[str, Any], data: ImageData, confusion: Callable[[], Tensor], where: str = "tree") -> Tree:
    """The tree over the classes of ``data``.

    Args:
        options: ``name``, and what the tree of this name needs.
        confusion: gives counts (N, N) of true against predicted classes, for a clustered tree.
        where: key of the options in the configuration, for messages.

    Raises:
        UserError: no such tree, or it does not fit the classes.
    """
    group = "tree" if where == "tree" else f"tree@{where}"  # what the command line chooses a tree by
    match options:
        case {"name": "superclasses"}:
            superclasses = data.sets["train"].superclasses
            if superclasses is None:
                raise UserError(
                    f"{where}.name=superclasses: this data set has none; take {group}=file with a JSON tree, or "
                    f"{group}=clustered"
                )
            return from_superclasses(data.classes, superclasses, where)
        case {"name": "data"}:
            nested = getattr(data, "tree", None)
            if nested is None:
                raise UserError(
                    f"{where}.name=data: this data set has no tree of its own; take {group}=file or {group}=clustered"
                )
            return from_plain(nested, data.classes, where)
        case {"name": "random", "like": like, "seed": seed}:
            if like not in ("superclasses", "data"):
                raise UserError(f"{where}.like={like}: allowed are superclasses, data")
            return random_like(tree_of({"name": like}, data, confusion, where), seed)
        case {"name": "regrouped", "groups": groups}:
            return regrouped(tree_of({"name": "superclasses"}, data, confusion, where), confusion(), groups, where)
        case {"name": "clustered", "groups": groups}:
            return clustered(confusion(), data.classes, groups, where)
        case {"name": "file", "path": path}:
            return read_tree(Path(path).expanduser(), data.classes, where)
    name = str(options.get("name"))
    raise UserError(f"{where}.name={name}: {suggestion(name, TREES)}; conf/tree shows them whole")
