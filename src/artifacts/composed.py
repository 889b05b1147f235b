"""Networks composed of the modules of a label tree, from the store or made now."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from torch import Tensor

from src.artifacts.composition import composed, composition_of, confusion, views_of
from src.artifacts.label_tree import tree_of
from src.artifacts.matching import matched_recipe
from src.artifacts.network import Trained
from src.artifacts.trained import check_recipe, images_of, trained
from src.artifacts.tree_modules import TreeModules, modules_of_tree, node_images
from src.artifacts.tree_training import check_way, parts_of, trained_together
from src.core.store import Store
from src.data.datamodule import ImageData
from src.methods.hierarchy.composition import Composition
from src.methods.hierarchy.nodes import Tree
from src.methods.hierarchy.tree import random_like
from src.networks.subjects import Subject

if TYPE_CHECKING:
    from src.report.session import Session

MONOLITH = "monolith"  # the key of its recipe, and its name in tables


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


def networks_of(config: Mapping[str, Any], data: ImageData, store: Store, session: Session) -> Networks:
    """Everything that has to be trained, from the store where it is there.

    Args:
        data: of the monolith.

    Raises:
        UserError: a recipe is wrong, or a node of a tree has no images: said before anything trains.
    """
    check_way(config)
    views_of(config, data)
    tree = tree_in(config, data, store, session)
    random = random_like(tree, config["seed"]) if config["control"] == "random" else None
    _check_parts(config, [tree] if random is None else [tree, random], data)
    recipe = matched_recipe(config, tree, data, session)
    monolith = trained(recipe, store, session, role=MONOLITH, config=config, data=data)
    modules, subject = modules_in_tree(config, tree, data, store, session)
    control = None
    if random is not None:
        control = modules_of_tree(config, random, data, store, session, role="random tree")
    return Networks(data, tree, monolith, modules, composition_of(config, modules), subject, control)


def _check_parts(config: Mapping[str, Any], trees: Sequence[Tree], data: ImageData) -> None:
    for role in (MONOLITH, "router", "expert"):
        check_recipe(config[role], role)
    for tree in trees:
        for node in range(len(tree.nodes)):
            node_images(config, tree, node, data)


def composed_of(config: Mapping[str, Any], store: Store, session: Session) -> tuple[Subject, ImageData, list[str]]:
    """The composed network alone, the images of its modules, and the digests of what it is made of."""
    data = images_of(config["monolith"], session, "monolith", "monolith")
    tree = tree_in(config, data, store, session)
    modules, subject = modules_in_tree(config, tree, data, store, session)
    return subject, data, modules.uses


def tree_in(config: Mapping[str, Any], data: ImageData, store: Store, session: Session) -> Tree:
    """The tree of the configuration; for a clustered one the monolith is trained first."""

    def confusions() -> Tensor:
        network = trained(config["monolith"], store, session, role=MONOLITH, config=config, data=data)
        return confusion(network, "validation")

    return tree_of(config["tree"], data, confusions)


def modules_in_tree(
    config: Mapping[str, Any], tree: Tree, data: ImageData, store: Store, session: Session
) -> tuple[TreeModules, Subject]:
    """The modules one by one, and the network that they make, which may have been trained further as a whole."""
    check_way(config)
    apart = config["modules"] == "separate"
    modules = modules_of_tree(config, tree, data, store, session) if apart else None
    if modules is None or config["finetune_epochs"]:
        modules = parts_of(trained_together(config, tree, data, store, session, modules), config, tree)
    return modules, composed(config, modules, data)
