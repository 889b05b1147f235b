"""Networks composed of the modules of a label tree, from the store or made now."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from torch import Tensor

from src.artifacts.composition import composed, confusion
from src.artifacts.label_tree import tree_of
from src.artifacts.trained import images_of, trained
from src.artifacts.tree_modules import TreeModules, modules_of_tree
from src.artifacts.tree_training import check_way, parts_of, trained_together
from src.core.store import Store
from src.data.datamodule import ImageData
from src.methods.hierarchy.nodes import Tree
from src.networks.subjects import Subject

if TYPE_CHECKING:
    from src.report.session import Session

MONOLITH = "monolith"  # the key of its recipe, and its name in tables


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
