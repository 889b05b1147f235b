"""What a change of classes starts from: images and trees with and without the class, and how modules are trained."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from src.artifacts.artifacts import Artifacts
from src.artifacts.changed_networks import OTHER, altered, assembled
from src.artifacts.composed import tree_in
from src.artifacts.composition import composition_of, seen_through_views, views_of
from src.artifacts.learners import architecture_of, tried
from src.artifacts.matching import matched_recipe
from src.artifacts.network import Trained
from src.artifacts.trained import check_recipe, images_of, trained
from src.artifacts.tree_modules import modules_of_tree, node_images, recipe_name
from src.core.errors import UserError, suggestion
from src.data.datamodule import ImageData
from src.data.relabelled import relabelled
from src.methods.hierarchy.nodes import Tree
from src.methods.hierarchy.tree import without_class
from src.networks.subjects import Subject
from src.studies.class_change.options import AddClass


@dataclass
class Setting:
    """All classes and all but one; which node is right above that one.

    Attributes:
        data, tree: of all classes.
        fewer_data, fewer: of all classes but the one.
        monolith: its recipe, the same size for both.
        node: of ``tree``.
    """

    options: AddClass
    artifacts: Artifacts
    data: ImageData
    tree: Tree
    fewer_data: ImageData
    fewer: Tree
    monolith: dict[str, Any]
    node: int

    @property
    def expert(self) -> str:
        """Name of the node."""
        return self.tree.nodes[self.node].name

    @property
    def near(self) -> Tensor:
        """Bool (N,): the classes below the expert."""
        return self._of(self.tree.leaves_of(self.node))

    @property
    def changed(self) -> Tensor:
        """Bool (N,): the classes that the change is about."""
        return (
            self.near if self.options.change == "replace" else self._of([self.tree.label(str(self.options.class_name))])
        )

    def _of(self, labels: Iterable[int]) -> Tensor:
        classes = torch.zeros(len(self.data.classes), dtype=torch.bool)
        classes[list(labels)] = True
        return classes

    @property
    def routers(self) -> list[str]:
        """Names of the nodes above the expert."""
        path = self.tree.nodes[self.node].path
        return [
            node.name for node in self.tree.nodes if len(node.path) < len(path) and path[: len(node.path)] == node.path
        ]

    def modules(self, tree: Tree, data: ImageData) -> dict[str, Trained]:
        """All modules of a tree by their node's name, from random weights."""
        modules = modules_of_tree(self.options, tree, data, self.artifacts).modules
        return dict(zip((node.name for node in tree.nodes), modules, strict=True))

    def module(
        self,
        name: str,
        *,
        fewer: bool = False,
        start: Trained | None = None,
        changes: Mapping[str, Any] | None = None,
    ) -> Trained:
        """The module of a node: warm-started with the recipe of an update, or from random weights."""
        tree, data = (self.fewer, self.fewer_data) if fewer else (self.tree, self.data)
        node = tree.node(name)
        where = recipe_name(tree, node)
        recipe = (
            altered(self.options.recipe_of(where), changes or {}, "replacement")
            if start is None
            else self._update(self.options.recipe_of(where))
        )
        return trained(
            recipe,
            self.artifacts,
            role=f"{name}, {'anew' if start is None else 'warm-started'}",
            where=where,
            data=node_images(self.options, tree, node, data),
            start=None if start is None else start.subject,
        )

    def whole(self, role: str, data: ImageData, start: Trained | None = None, seed: int | None = None) -> Trained:
        """A monolith."""
        recipe = self.monolith if start is None else self._update(self.monolith)
        recipe = recipe if seed is None else {**recipe, "seed": seed}
        begin = None if start is None else start.subject
        return trained(recipe, self.artifacts, role=role, where="monolith", data=data, start=begin)

    def _update(self, recipe: Mapping[str, Any]) -> dict[str, Any]:
        return altered(recipe, self.options.update, "update")

    def composed(self, modules: Mapping[str, Trained], *, fewer: bool = False) -> Subject:
        """The network of modules by name."""
        tree = self.fewer if fewer else self.tree
        return assembled(self.options, tree, modules, self.data)

    def seen(self, network: Trained) -> Subject:
        """A monolith as it is shown the test images."""
        return seen_through_views(self.options, network, network.data)


def replacement_of(options: AddClass) -> dict[str, Any]:
    """What an expert that replaces another one has in its recipe; null is a seed of its own, and the width as it is."""
    changes = dict(options.replacement)
    if changes.get("seed") is None:
        changes["seed"] = options.expert["seed"] + OTHER
    model = dict(changes.get("model", {}))
    if model.get("width") is None:
        model.pop("width", None)
    return changes | {"model": model}


def _check_model(recipe: Mapping[str, Any], data: ImageData) -> None:
    try:
        tried(architecture_of(recipe, data))
    except UserError as error:
        raise UserError(f"replacement.{error}") from None


def setting_of(options: AddClass, artifacts: Artifacts) -> Setting:
    """Images and trees.

    Raises:
        UserError: no such class, or it is one of two of its superclass; a recipe has no such part.
    """
    change, name = options.change, str(options.class_name)
    composition_of(options)  # from here on what is wrong is said before anything trains
    for role in ("monolith", "router", "expert"):
        check_recipe(getattr(options, role), role)
        altered(getattr(options, role), options.update, "update")
    replaced = altered(options.expert, replacement_of(options), "replacement")
    data = images_of(options.monolith, artifacts.session, "monolith", "monolith")
    if data.whitener is not None:
        raise UserError(
            f"monolith.data.contrast={data.contrast}: whitening is fitted to all classes at once; take none or global "
            "where classes come and go"
        )
    views_of(options, data)
    if name not in data.classes:
        raise UserError(f"class_name={name}: the data have no such class; {suggestion(name, data.classes)}")
    tree = tree_in(options, data, artifacts)
    node = tree.path_of(tree.label(name))[-1][0]
    above = tree.nodes[node]
    if len(above.children) == 2 and change != "replace":
        sibling = next(child for child in above.children if child != name)
        raise UserError(
            f"class_name={name}: without it '{above.name}' has one child, '{sibling}', and no module to change; take a "
            "class of a larger superclass, or another tree"
        )
    if change == "replace":
        fewer, fewer_data = tree, data
        _check_model(replaced, node_images(options, tree, node, data))
    else:
        fewer = without_class(tree, name)
        numbers = {label: number for number, label in enumerate(fewer.classes)}
        fewer_data = relabelled(data, [numbers.get(label, -1) for label in data.classes], fewer.classes)
    monolith = matched_recipe(options, tree, data, artifacts.session)
    return Setting(options, artifacts, data, tree, fewer_data, fewer, monolith, node)
