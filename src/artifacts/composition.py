"""A composed network as a subject, and what its modules answer."""

from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any, cast

import torch
from torch import Tensor

from src.artifacts.network import BATCH, Trained, of_part
from src.artifacts.options import ModuleTreeOptions
from src.artifacts.tree_modules import TreeModules
from src.core.errors import UserError
from src.data.datamodule import ImageData
from src.imageops.whitening import Whitening
from src.methods.hierarchy.composed import ComposedNetwork
from src.methods.hierarchy.composed_subject import composed_subject
from src.methods.hierarchy.composition import Composition
from src.methods.hierarchy.nodes import Tree
from src.methods.hierarchy.tree import flat
from src.methods.hierarchy.views import Views
from src.networks.activations import evaluating
from src.networks.subjects import Subject
from src.statistics.calibration import fit_temperature

SOFT = Composition("soft")


def composition_of(options: ModuleTreeOptions, modules: TreeModules | None = None) -> Composition:
    """The rule by which a modular network answers, as the configuration says; with fitted temperatures if it does."""
    how: dict[str, Any] = asdict(options.composition)
    if options.temperature == "fit" and modules is not None:
        how["temperatures"] = tuple(module_temperature(module) for module in modules.modules)
    return Composition(**how)


def module_temperature(module: Trained) -> float:
    """Fitted on the validation images below the module's node, one crop each."""
    return fit_temperature(*of_part(module, "validation"))


def composed(
    options: ModuleTreeOptions, modules: TreeModules, data: ImageData, composition: Composition | None = None
) -> Subject:
    """The modules as one subject over all classes of the tree."""
    how, views, shape = (
        composition or composition_of(options, modules),
        views_of(options, data),
        data.sets["test"].shape,
    )
    if modules.whole is not None:
        return recomposed(modules.whole.subject, how, views, preparation_of(data), shape)
    parts = [unprepared(module) for module in modules.modules]
    if data.whitener is None or data.whitening_options.scope != "subset":
        return composed_subject(
            parts, modules.tree, how, views=views, preparation=preparation_of(data), input_shape=shape
        )
    # each module whitens by the images that it was trained on
    own = [
        composed_subject(
            [part], flat(part.classes), SOFT, views=views, preparation=module.data.whitening, input_shape=shape
        )
        for part, module in zip(parts, modules.modules, strict=True)
    ]
    return composed_subject(own, modules.tree, how, input_shape=shape)


def unprepared(network: Trained) -> Subject:
    """The network as a part of another one that whitens its images, where its data did."""
    subject = network.subject
    return subject if network.data.whitener is None else replace(subject, contrast="none")


def preparation_of(data: ImageData) -> Whitening | None:
    """What is done to whole images before a network of ``data`` sees them; by the test images' own statistics where
    that is what the data say (scope evaluation)."""
    if data.whitener is None:
        return None
    if data.whitening_options.scope == "evaluation":
        return data.whitener.fit(data.sets["test"].images)
    return data.whitening


def recomposed(
    subject: Subject,
    composition: Composition,
    views: Views | None,
    preparation: Whitening | None,
    input_shape: Sequence[int],
) -> Subject:
    """A composed subject with another rule and other views of images [channels, height, width]."""
    old = cast(ComposedNetwork, subject.model)
    network = ComposedNetwork(
        old.tree,
        list(old.parts),
        composition,
        trunk=old.trunk,
        views=views,
        preparation=preparation,
        columns=old.columns,
    )
    plain = {"composition": composition.plain(), "views": None if views is None else views.plain()}
    prepared = {"preparation": None if preparation is None else preparation.plain(), "input_shape": list(input_shape)}
    architecture = {**subject.architecture, **plain, **prepared}
    contrast = subject.contrast if preparation is None else "none"
    return replace(subject, model=network.eval(), architecture=architecture, contrast=contrast)


def seen_through_views(options: ModuleTreeOptions, network: Trained, data: ImageData) -> Subject:
    """A network trained as a whole that answers as the composed ones do: the mean over several crops of an image."""
    views, preparation, fitted = views_of(options, data), preparation_of(data), options.temperature == "fit"
    if views is None and preparation is None and not fitted:
        return network.subject
    how = Composition("soft", temperatures=(module_temperature(network),)) if fitted else SOFT
    tree, shape = flat(network.subject.classes), data.sets["test"].shape
    return composed_subject([unprepared(network)], tree, how, views=views, preparation=preparation, input_shape=shape)


def views_of(options: ModuleTreeOptions, data: ImageData) -> Views | None:
    """The crops that a test image is seen through, or None for the image as it is."""
    if options.views == "whole":
        if data.augment.get("crop"):
            raise UserError(f"views=whole: the networks take crops of {data.input_shape[1]} pixels; take centre or ten")
        return None
    axis = data.augment.get("flip_axis", "left_right")
    return Views(size=data.input_shape[1], kind=options.views, flip_axis=axis)


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
