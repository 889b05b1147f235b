"""Networks that were changed after their training: put together anew, an output dropped, and what the change cost."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import torch
from torch import Tensor

from src.artifacts.composition import composition_of, views_of
from src.artifacts.network import Trained, batched
from src.artifacts.options import ModuleTreeOptions
from src.artifacts.trained import check_recipe
from src.artifacts.tree_modules import TreeModules
from src.artifacts.warm_start import warm_start
from src.core.errors import UserError, suggestion
from src.data.datamodule import ImageData
from src.methods.hierarchy.composed import ComposedNetwork
from src.methods.hierarchy.composed_subject import composed_subject
from src.methods.hierarchy.nodes import Tree
from src.networks.cost import BACKWARD, cost
from src.networks.models import build
from src.networks.subjects import Subject

OTHER = 1000  # added to a seed for a second training, so that it is not the network of the next job of a sweep


@dataclass(frozen=True)
class Changed:
    """A network before or after a change.

    Attributes:
        name: in the tables.
        before: the network that it was made of; None where nothing has changed yet.
        updates: what the change trained; nothing where it only put parts together.
        origins: what had been trained before: the parts that were kept, and those that an update began from.
    """

    name: str
    subject: Subject
    before: "Changed | None" = None
    updates: tuple[Trained, ...] = ()
    origins: tuple[Trained, ...] = ()


class Spent(NamedTuple):
    """What trainings cost: images seen (repeats counted), optimiser steps, multiply-adds, seconds, and parameters."""

    images: int
    steps: int
    macs: int
    seconds: float
    parameters: int


def spent(trainings: Iterable[Trained]) -> Spent:
    """The sum over trainings; a step costs about three forward passes."""
    found = [_spent(training) for training in trainings]
    return Spent(*(sum(values) for values in zip(*found, strict=True))) if found else Spent(0, 0, 0, 0.0, 0)


def _spent(training: Trained) -> Spent:
    passes, own = len(training.history), len(training.data.sets["train"])
    found = cost(training.subject.model, training.data.input_shape)
    steps = -(-own // training.data.batch_size) * passes
    return Spent(own * passes, steps, BACKWARD * found.macs * own * passes, training.seconds, found.parameters)


def altered(recipe: Mapping[str, Any], changes: Mapping[str, Any], where: str) -> dict[str, Any]:
    """The recipe with some of its keys at any depth set otherwise.

    Args:
        recipe: one that is right as it is.
        where: key of the changes in the configuration, for the message.

    Raises:
        UserError: the recipe has no such part, or training or optimiser no such setting.
    """
    for key in changes:
        if key not in recipe:
            raise UserError(f"{where}.{key}: a recipe has no such part; {suggestion(key, list(recipe))}")
    found = _merged(recipe, changes)
    check_recipe(found, where)
    return found


def _merged(plain: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    found = dict(plain)
    for key, value in changes.items():
        nested = isinstance(value, Mapping) and isinstance(found.get(key), Mapping)
        found[key] = _merged(found[key], value) if nested else value
    return found


def without_outputs(network: Trained, data: ImageData) -> Trained:
    """The network with the outputs of the classes of ``data`` alone, its other weights as they were; not trained.

    Raises:
        UserError: its last layer is not linear.
    """
    architecture = {**network.subject.architecture, "classes": len(data.classes)}
    model = build(architecture)
    warm_start(model, data.classes, network.subject)
    model.to(next(network.subject.model.parameters()).device)
    subject = replace(network.subject, model=model.eval(), architecture=architecture, classes=tuple(data.classes))
    return replace(network, subject=subject, data=data)


def assembled(options: ModuleTreeOptions, tree: Tree, modules: Mapping[str, Trained], data: ImageData) -> Subject:
    """The network of modules by their node's name, also where their outputs stand in another order than in ``tree``."""
    own = [modules[node.name] for node in tree.nodes]
    columns = [
        [part.subject.classes.index(child) for child in node.children]
        for node, part in zip(tree.nodes, own, strict=True)
    ]
    in_order = all(list(range(len(part.subject.classes))) == row for part, row in zip(own, columns, strict=True))
    return composed_subject(
        [part.subject for part in own],
        tree,
        composition_of(options, TreeModules(tree, own)),
        views=views_of(options, data),
        columns=None if in_order else columns,
        input_shape=data.sets["test"].shape,
    )


def answers_among(subject: Subject, images: Tensor, classes: Sequence[str]) -> Tensor:
    """Log-probabilities (n, N) over ``classes``, minus infinity for those that the network does not know."""
    found = batched(subject, images).double()
    if not isinstance(subject.model, ComposedNetwork):  # whose answers are not normalised again, to keep the last bit
        found = found.log_softmax(1)
    whole = torch.full((len(images), len(classes)), -torch.inf, dtype=found.dtype)
    known = [(column, classes.index(name)) for column, name in enumerate(subject.classes) if name in classes]
    columns, places = (list(numbers) for numbers in zip(*known, strict=True))
    whole[:, places] = found[:, columns]
    return whole
