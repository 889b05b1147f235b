"""``task=train_module``: one module of a label tree, so that all of them can be trained side by side by a sweep."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from src.artifacts.composed import tree_in
from src.artifacts.predictions import of_part
from src.artifacts.trained import history_panel, images_of, trained
from src.artifacts.tree_modules import node_images, recipe_name
from src.core.errors import UserError
from src.core.estimate import Estimate
from src.core.result import Result, Verdict
from src.core.store import Store
from src.methods.hierarchy.nodes import Tree
from src.statistics.bootstrap import proportion

if TYPE_CHECKING:
    from src.report.session import Session


def train_module(config: Mapping[str, Any], store: Store, session: Session) -> Result:
    """Train the module (or find it in the store, where ``task=compose`` looks for it too)."""
    data = images_of(config["monolith"], session, "monolith", "monolith")
    tree = tree_in(config, data, store, session)
    node = _node(config["module"], tree)
    name, where = tree.nodes[node].name, recipe_name(tree, node)
    images = node_images(config, tree, node, data)
    module = trained(config[where], store, session, role=f"modules: {name}", where=where, config=config, data=images)
    logits, labels = of_part(module, "test")
    right = int((logits.argmax(1) == labels).sum())
    metrics = {
        "test_accuracy": proportion(right, len(labels), unit="images"),
        "validation_accuracy": Estimate(module.accuracy),
    }
    result = Result("train_module", config["name"], uses=[module.digest])
    result.add(history_panel({name: module}))
    result.conclude(
        Verdict(
            f"{name}: {right / len(labels):.1%} of the test images below it are given to the right child",
            metrics=metrics,
            units=dict.fromkeys(metrics, "%"),
            row={"module": name, "outputs": len(images.classes), "train_images": len(images.sets["train"])},
        )
    )
    return result


def _node(wanted: int | str, tree: Tree) -> int:
    """Number of the node.

    Raises:
        UserError: there is none of that number or name.
    """
    if isinstance(wanted, int):
        if wanted not in range(len(tree.nodes)):
            raise UserError(f"module={wanted}: the tree's nodes are numbered 0 to {len(tree.nodes) - 1}")
        return wanted
    return tree.node(wanted)
