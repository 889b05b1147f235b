"""A composed network as a subject, and what its modules answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, cast

import torch
from torch import Tensor

from src.activations import evaluating
from src.calibration import fit_temperature
from src.data.datamodule import ImageData
from src.hierarchy.composed import ComposedNetwork
from src.hierarchy.composition import Composition
from src.hierarchy.nodes import Tree
from src.hierarchy.tree import flat
from src.hierarchy.views import Views
from src.subjects import Subject, composed_subject
from src.tasks.predictions import BATCH, of_part
from src.tasks.train import Trained
from src.tasks.tree_modules import TreeModules


def composition_of(config: Mapping[str, Any], modules: TreeModules | None = None) -> Composition:
    """The rule by which a modular network answers, as the configuration says; with fitted temperatures if it does."""
    how = dict(config["composition"])
    if config["temperature"] == "fit" and modules is not None:
        how["temperatures"] = tuple(module_temperature(module) for module in modules.modules)
    return Composition(**how)


def module_temperature(module: Trained) -> float:
    """Fitted on the validation images below the module's node, one crop each."""
    return fit_temperature(*of_part(module, "validation"))


def composed(
    config: Mapping[str, Any], modules: TreeModules, data: ImageData, composition: Composition | None = None
) -> Subject:
    """The modules as one subject over all classes of the tree."""
    how, views = composition or composition_of(config, modules), views_of(config, data)
    if modules.whole is not None:
        return recomposed(modules.whole.subject, how, views, data.sets["test"].shape)
    parts = [module.subject for module in modules.modules]
    return composed_subject(parts, modules.tree, how, views=views, input_shape=data.sets["test"].shape)


def recomposed(subject: Subject, composition: Composition, views: Views | None, input_shape: Sequence[int]) -> Subject:
    """A composed subject with another rule and other views of images [channels, height, width]."""
    old = cast(ComposedNetwork, subject.model)
    network = ComposedNetwork(
        old.tree,
        list(old.parts),
        composition,
        trunk=old.trunk,
        views=views,
        preparation=old.preparation,
        columns=old.columns,
    )
    plain = {"composition": composition.plain(), "views": None if views is None else views.plain()}
    shape = {"input_shape": list(input_shape)}
    return replace(subject, model=network.eval(), architecture={**subject.architecture, **plain, **shape})


def seen_through_views(config: Mapping[str, Any], network: Trained, data: ImageData) -> Subject:
    """A network trained as a whole that answers as the composed ones do: the mean over several crops of an image."""
    views = views_of(config, data)
    if views is None:
        return network.subject
    tree = flat(network.subject.classes)
    whole = data.sets["test"].shape
    return composed_subject([network.subject], tree, Composition("soft"), views=views, input_shape=whole)


def views_of(config: Mapping[str, Any], data: ImageData) -> Views | None:
    """The crops that a test image is seen through, or None for the image as it is."""
    kind = config["views"]
    if kind == "whole":
        return None
    axis = data.augment.get("flip_axis", "left_right")
    return Views(size=data.input_shape[1], kind=kind, flip_axis=axis)


@torch.inference_mode()
def answers(subject: Subject, images: Tensor, batch: int = BATCH) -> list[Tensor]:
    """Every module's logits for all images, also for those that would not reach it: per node (n, children)."""
    network = cast(ComposedNetwork, subject.model)
    device = next(network.parameters()).device
    with evaluating(network):
        parts = [network.answers(subject.normalise(part.to(device))) for part in images.split(batch)]
    return [torch.cat([part[node].float().cpu() for part in parts]) for node in range(len(parts[0]))]


def confusion(network: Trained, part: str) -> Tensor:
    """int64 (N, N): how often images of a class (rows) of a part of its data are taken for another (columns)."""
    logits, labels = of_part(network, part)
    return counts(labels, logits.argmax(1), len(network.subject.classes))


def counts(labels: Tensor, predicted: Tensor, classes: int) -> Tensor:
    """int64 (classes, classes) of true (rows) against predicted labels."""
    return torch.bincount(labels * classes + predicted, minlength=classes * classes).view(classes, classes)


def superclass_counts(tree: Tree, labels: Tensor, predicted: Tensor) -> Tensor:
    """The same for the children of the root."""
    parent = tree.superclass_of
    return counts(parent[labels], parent[predicted], len(tree.nodes[0].children))
