"""``task=transfer``: are experts worth keeping? In another tree of routers, and for images of another look.

Warm starts and shared features after J. Yosinski et al., "How transferable are features in deep neural networks?"
(2014): few images of the target, with the source's weights and without.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from src.artifacts.changed_networks import altered
from src.artifacts.composition import composed, composition_of, confusion, counts, views_of
from src.artifacts.label_tree import tree_of
from src.artifacts.predictions import log_probabilities
from src.artifacts.trained import check_recipe, did_not_train, images_of, trained
from src.artifacts.tree_modules import TreeModules, modules_of_tree, node_images
from src.core.configuration import keywords
from src.core.errors import UserError
from src.core.result import Result
from src.core.store import Store
from src.data.datamodule import ImageData
from src.data.opening import data_module
from src.methods.hierarchy.nodes import Tree
from src.methods.hierarchy.regrouping import regrouped
from src.studies.transfer.data import TargetImages, add_target, sizes_of
from src.studies.transfer.tree import add_trees

if TYPE_CHECKING:
    from src.report.session import Session


def transfer(config: Mapping[str, Any], store: Store, session: Session) -> Result:
    """Train the modules of one tree, put their experts into another tree, and to other images."""
    result = Result("transfer", config["name"])
    composition_of(config)  # from here on what is wrong is said before anything trains
    for role in ("router", "expert"):
        check_recipe(config[role], role)
    altered(config["expert"], config["few"], "few")
    data = images_of({"data": config["data"], "seed": config["router"]["seed"]}, session, "modules", "modules")
    views_of(config, data)
    target = _target(config, data, session)
    sizes = sizes_of(config, target, session)
    tree = _source_tree(config, data, store, session)
    experts = _chosen(tree, config["experts"])
    _check_other_tree(config, tree, data)
    modules = modules_of_tree(config, tree, data, store, session)
    other = _other_tree(config, tree, data, lambda: _confusions(config, modules, data))
    _check_shared(config, tree, other)
    result.uses = list(modules.uses)
    against = add_trees(result, modules, other, data, config, store, session)
    gain = add_target(result, modules, experts, target, sizes, config, store, session)
    result.row = {"data": data.source["name"], "target": target.data.source["name"], "tree": config["tree"]["name"]}
    result.screen = ["trees", "curve"]
    unfit = next((node for node in experts if not modules.modules[node].converged), None)
    if unfit is not None:
        who = f"the expert of '{tree.nodes[unfit].name}'"
        result.verdict, result.verdict_kind = did_not_train(who, modules.modules[unfit]), "no verdict"
        return result
    result.verdict = f"{gain}; {against}"
    return result


def _chosen(tree: Tree, wanted: int | None) -> list[int]:
    """The first ``wanted`` experts of the tree, or all."""
    found = [node for node in range(len(tree.nodes)) if tree.is_expert(node)]
    if wanted is not None and (type(wanted) is not int or not 1 <= wanted <= len(found)):
        raise UserError(f"experts={wanted}: the tree has {len(found)}; take 1 to {len(found)}, or null for all")
    return found[:wanted]


def _source_tree(config: Mapping[str, Any], data: ImageData, store: Store, session: Session) -> Tree:
    def confusions() -> Tensor:
        network = trained(
            config["router"], store, session, role="all classes", where="router", config=config, data=data
        )
        return confusion(network, "validation")

    return tree_of(config["tree"], data, confusions)


def _check_other_tree(config: Mapping[str, Any], tree: Tree, data: ImageData) -> None:
    """All that can be known of the tree that experts are moved to before the modules tell which classes they confuse.

    Raises:
        UserError: it cannot be built, a node has no images, or no expert of ``tree`` stands in it.
    """
    count = len(tree.classes)
    other = _other_tree(config, tree, data, lambda: torch.ones(count, count))
    if config["other_tree"]["name"] != "clustered":  # whose experts are what confusions make of them
        _check_shared(config, tree, other)
    with _of_other_tree():
        for node in range(len(other.nodes)):
            node_images(config, other, node, data)


def _other_tree(config: Mapping[str, Any], tree: Tree, data: ImageData, confusions: Callable[[], Tensor]) -> Tree:
    options = config["other_tree"]
    with _of_other_tree():
        if options["name"] == "regrouped":
            return regrouped(tree, confusions(), options["groups"])
        return tree_of(options, data, confusions)


def _check_shared(config: Mapping[str, Any], tree: Tree, other: Tree) -> None:
    experts = {(node.name, node.children) for index, node in enumerate(tree.nodes) if tree.is_expert(index)}
    if not experts & {(node.name, node.children) for node in other.nodes}:
        raise UserError(
            f"other_tree.name={config['other_tree']['name']}: no expert of tree.name={config['tree']['name']} stands "
            "in it with the same name and classes; take regrouped, or a file with the same superclasses"
        )


def _confusions(config: Mapping[str, Any], modules: TreeModules, data: ImageData) -> Tensor:
    """How often the composed modules take validation images of a class (rows) for another (columns)."""
    held_out = data.sets["validation"]
    predicted = log_probabilities(composed(config, modules, data), held_out.images).argmax(1)
    return counts(held_out.labels, predicted, len(data.classes))


@contextmanager
def _of_other_tree() -> Iterator[None]:
    """What is wrong with a tree is said of the second one's keys."""
    try:
        yield
    except UserError as error:
        own = re.sub(r"^tree(?=[.:])", "other_tree", str(error))
        raise UserError(re.sub(r"\btree=", "tree@other_tree=", own)) from None


def _target(config: Mapping[str, Any], data: ImageData, session: Session) -> TargetImages:
    """The other images, normalised as the source's, which is how the experts see them.

    Raises:
        UserError: they lack a class, or are of another shape, or images are whitened.
    """
    if data.whitener is not None:
        raise UserError(
            f"data.contrast={data.contrast}: whitening is fitted to one data set; take none or global for a transfer"
        )
    options = {**config["target"], "normalisation": {"mean": list(data.mean), "std": list(data.std)}}
    options["contrast"] = data.contrast
    kind = data_module(options)
    other = kind(**keywords(kind, options, "target"), shuffle_seed=config["seed"])
    with session.stage("target: images"):
        other.setup()
    for event in other.events:
        session.event(f"target: {event}")
    missing = [name for name in data.classes if name not in other.classes]
    if missing:
        raise UserError(f"target: has no class '{missing[0]}'; experts are moved to data with the same classes")
    if other.input_shape != data.input_shape:
        raise UserError(
            f"target: images of shape {other.input_shape}, the experts take {data.input_shape}; set target.source.size"
        )
    numbers = {name: number for number, name in enumerate(data.classes)}
    return TargetImages(other, torch.tensor([numbers.get(name, -1) for name in other.classes]))
