"""Experts of one label tree in another one: only the routers are trained."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor

from src.artifacts.artifacts import Artifacts
from src.artifacts.changed_networks import OTHER, Spent, altered, spent
from src.artifacts.composed import tree_of
from src.artifacts.composition import composed, counts
from src.artifacts.network import log_probabilities
from src.artifacts.tree_modules import TreeModules, modules_of_tree, node_images
from src.core.errors import UserError
from src.core.estimate import Estimate
from src.core.shown import Shown
from src.data.datamodule import ImageData
from src.methods.hierarchy.nodes import Tree
from src.methods.hierarchy.tree import regrouped
from src.statistics.bootstrap import accuracies
from src.studies.transfer.options import Transfer

WHERE = "other_tree"  # its key in the configuration
#: The source's modules; the other tree with the source's experts; the other tree with experts of another seed.
Arrangement = Literal["source", "moved", "anew"]


@dataclass(frozen=True)
class ArrangedFindings(Shown):
    """One network of modules.

    Attributes:
        against_anew: accuracy minus that of new experts below the same routers, in pairs over test images.
        modules: how many it has; of these ``moved`` are the source's, and ``trained`` were trained for it.
        cost: of the trained ones.
    """

    accuracy: Estimate
    against_anew: Estimate
    modules: int
    moved: int
    trained: int
    cost: Spent


@dataclass(frozen=True)
class TreeFindings(Shown):
    """Both trees; ``saved``: share of the other tree's training (multiply-adds) that moved experts make needless."""

    networks: Mapping[Arrangement, ArrangedFindings]
    saved: float


def other_tree(options: Transfer, tree: Tree, data: ImageData, confusions: Callable[[], Tensor]) -> Tree:
    """The tree that experts of ``tree`` are moved to.

    Raises:
        UserError: it cannot be built.
    """
    if options.other_tree["name"] == "regrouped":
        return regrouped(tree, confusions(), options.other_tree["groups"], WHERE)
    return tree_of(options.other_tree, data, confusions, WHERE)


def check_other_tree(options: Transfer, tree: Tree, data: ImageData) -> None:
    """All that can be known of the tree that experts are moved to before the modules tell which classes they confuse.

    Raises:
        UserError: it cannot be built, a node has no images, or no expert of ``tree`` stands in it.
    """
    count = len(tree.classes)
    likely = other_tree(options, tree, data, lambda: torch.ones(count, count))
    if options.other_tree["name"] != "clustered":  # whose experts are what confusions make of them
        check_shared(options, tree, likely)
    for node in range(len(likely.nodes)):
        node_images(options, likely, node, data, WHERE)


def check_shared(options: Transfer, tree: Tree, target: Tree) -> None:
    """Refuse a ``target`` to which no expert of ``tree`` can be moved.

    Raises:
        UserError: none stands in it.
    """
    experts = {(node.name, node.children) for index, node in enumerate(tree.nodes) if tree.is_expert(index)}
    if not experts & {(node.name, node.children) for node in target.nodes}:
        raise UserError(
            f"{WHERE}.name={options.other_tree['name']}: no expert of tree.name={options.tree['name']} stands in it "
            "with the same name and classes; take regrouped, or a file with the same superclasses"
        )


def confusions_of(options: Transfer, modules: TreeModules, data: ImageData) -> Tensor:
    """int64 (N, N): how often the composed modules take validation images of a class (rows) for another (columns)."""
    held_out = data.sets["validation"]
    predicted = log_probabilities(composed(options, modules, data), held_out.images).argmax(1)
    return counts(held_out.labels, predicted, len(data.classes))


def arranged(
    options: Transfer, modules: TreeModules, target: Tree, data: ImageData, artifacts: Artifacts
) -> dict[Arrangement, TreeModules]:
    """The modules of the source, and both networks of the tree ``target``."""
    expert = altered(options.expert, {"seed": options.expert["seed"] + OTHER}, "expert")
    return {
        "source": modules,
        "moved": modules_of_tree(options, target, data, artifacts, role="other tree"),
        "anew": modules_of_tree(replace(options, expert=expert), target, data, artifacts, role="other tree, anew"),
    }


def tree_findings(networks: Mapping[Arrangement, TreeModules], data: ImageData, options: Transfer) -> TreeFindings:
    """Accuracies on the test images in both trees, and what moving the experts saved."""
    test = data.sets["test"]
    predictions: dict[str, Tensor] = {
        name: log_probabilities(composed(options, modules, data), test.images).argmax(1)
        for name, modules in networks.items()
    }
    accuracy, against = accuracies(
        predictions, test.labels, "anew", resamples=options.resamples, seed=options.seed
    )  # fmt: skip
    source = {module.digest for module in networks["source"].modules}
    findings: dict[Arrangement, ArrangedFindings] = {}
    for name, modules in networks.items():
        new = [module for module in modules.modules if name == "source" or module.digest not in source]
        moved = 0 if name == "source" else len(modules.modules) - len(new)
        numbers = len(modules.modules), moved, len(new)
        findings[name] = ArrangedFindings(accuracy[name], against[name], *numbers, spent(new))
    there = [module for module in networks["moved"].modules if module.digest in source]
    return TreeFindings(findings, spent(there).macs / spent(networks["moved"].modules).macs)
