"""One module per inner node of a label tree: trained by itself, or all of them in one training."""

from dataclasses import dataclass
from typing import Literal

from src.artifacts.artifacts import Artifacts
from src.artifacts.network import Trained
from src.artifacts.options import ModuleTreeOptions
from src.artifacts.trained import trained
from src.data.datamodule import ImageData
from src.data.relabelled import relabelled
from src.methods.hierarchy.nodes import Tree

Role = Literal["router", "expert"]


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
    options: ModuleTreeOptions,
    tree: Tree,
    data: ImageData,
    artifacts: Artifacts,
    *,
    role: str = "modules",
) -> TreeModules:
    """All modules of ``tree`` from the store or trained now, each on the images below its node.

    Args:
        options: the recipes are without data: they learn from ``data``.
        role: what they are called on the screen.

    Raises:
        UserError: a node has a child without images; ``expert_cap`` is not allowed.
    """
    images = [node_images(options, tree, node, data) for node in range(len(tree.nodes))]
    if options.expert_cap is not None:
        artifacts.session.event(f"expert_cap={options.expert_cap}: experts learn from no more images than that")
    modules = []
    for number, (node, part) in enumerate(zip(tree.nodes, images, strict=True)):
        where = recipe_name(tree, number)
        modules.append(
            trained(options.recipe_of(where), artifacts, role=f"{role}: {node.name}", where=where, data=part)
        )
    return TreeModules(tree, modules)


def recipe_name(tree: Tree, node: int) -> Role:
    """``expert`` for a node that has classes below it alone, else ``router``; of a tree of one node the expert."""
    return "expert" if tree.is_expert(node) else "router"


def node_images(options: ModuleTreeOptions, tree: Tree, node: int, data: ImageData, where: str = "tree") -> ImageData:
    """The images below a node, its children as classes; ``where``: key of the tree, for messages."""
    place = tree.nodes[node]
    cap = cap_of(options, tree, data) if recipe_name(tree, node) == "expert" else None
    return relabelled(data, place.targets, place.children, cap=cap, where=where)


def cap_of(options: ModuleTreeOptions, tree: Tree, data: ImageData) -> int | None:
    """Most training images of an expert: ``expert_cap`` null, a number, or ``smallest`` (all as many as the fewest)."""
    wanted = options.expert_cap
    if wanted != "smallest":
        return None if wanted is None else int(wanted)
    per_class = data.sets["train"].per_class
    experts = [node for index, node in enumerate(tree.nodes) if tree.is_expert(index)]
    return min(int(sum(per_class[c] for c, child in enumerate(node.targets) if child >= 0)) for node in experts)
