"""One module per inner node of a label tree: trained by itself, or all of them in one training."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from src.artifacts.network import Trained
from src.artifacts.trained import trained
from src.core.store import Store
from src.data.datamodule import ImageData
from src.data.relabelled import relabelled
from src.methods.hierarchy.nodes import Tree

if TYPE_CHECKING:
    from src.report.session import Session


@dataclass
class TreeModules:
    """The modules of a tree, in the order of its nodes; ``whole``: the training they shared, where they did."""

    tree: Tree
    modules: list[Trained]
    whole: Trained | None = None

    @property
    def uses(self) -> list[str]:
        return [module.digest for module in self.modules] if self.whole is None else [self.whole.digest]


def modules_of_tree(
    config: Mapping[str, Any],
    tree: Tree,
    data: ImageData,
    store: Store,
    session: Session,
    *,
    role: str = "modules",
    start: Mapping[str, Trained] | None = None,
) -> TreeModules:
    """All modules of ``tree`` from the store or trained now, each on the images below its node.

    Args:
        config: ``router`` and ``expert`` (recipes without data: they learn from ``data``), ``expert_cap``.
        role: what they are called on the screen.
        start: by the node's name: a module whose weights a training begins with.

    Raises:
        UserError: a node has a child without images; ``expert_cap`` is not allowed.
    """
    images = [node_images(config, tree, node, data) for node in range(len(tree.nodes))]
    tell_caps(config, session)
    modules = []
    for node, own in enumerate(images):
        name, where = tree.nodes[node].name, recipe_name(tree, node)
        begin = None if start is None or name not in start else start[name].subject
        modules.append(
            trained(
                config[where], store, session, role=f"{role}: {name}", where=where, config=config, data=own, start=begin
            )
        )
    return TreeModules(tree, modules)


def recipe_name(tree: Tree, node: int) -> str:
    """``expert`` for a node that has classes below it alone, else ``router``; of a tree of one node the expert."""
    return "expert" if tree.is_expert(node) else "router"


def node_images(config: Mapping[str, Any], tree: Tree, node: int, data: ImageData, where: str = "tree") -> ImageData:
    """The images below a node, its children as classes; ``where``: key of the tree in ``config``, for messages."""
    place = tree.nodes[node]
    cap = cap_of(config, tree, data) if recipe_name(tree, node) == "expert" else None
    return relabelled(data, place.targets, place.children, cap=cap, where=where)


def cap_of(config: Mapping[str, Any], tree: Tree, data: ImageData) -> int | None:
    """Most training images of an expert: ``expert_cap`` null, a number, or ``smallest`` (all as many as the fewest)."""
    wanted = config["expert_cap"]
    if wanted != "smallest":
        return None if wanted is None else int(wanted)
    per_class = data.sets["train"].per_class
    experts = [node for index, node in enumerate(tree.nodes) if tree.is_expert(index)]
    return min(int(sum(per_class[c] for c, child in enumerate(node.targets) if child >= 0)) for node in experts)


def tell_caps(config: Mapping[str, Any], session: Session) -> None:
    if config["expert_cap"] is not None:
        session.event(f"expert_cap={config['expert_cap']}: experts learn from no more images than that")
