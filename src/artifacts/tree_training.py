"""All modules of a label tree in one training: from the start, on a shared trunk, or after each had its own."""

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, cast

import torch
from torch import nn

from src.artifacts.artifacts import Artifacts
from src.artifacts.learners import architecture_of, training_of
from src.artifacts.network import Trained
from src.artifacts.options import ENTRY_VERSIONS, ComposedOptions
from src.artifacts.trained import fitted, trained_network
from src.artifacts.tree_modules import Role, TreeModules, node_images, recipe_name
from src.core.store import Key
from src.data.datamodule import ImageData
from src.methods.hierarchy.composed import ComposedNetwork
from src.methods.hierarchy.composed_subject import composed_subject
from src.methods.hierarchy.composition import Composition
from src.methods.hierarchy.nodes import Tree
from src.networks.subjects import Subject, rebuild, save_description
from src.training.determinism import seed_everything
from src.training.learners.modular import Modular


def trained_together(
    options: ComposedOptions,
    tree: Tree,
    data: ImageData,
    artifacts: Artifacts,
    start: TreeModules | None = None,
) -> Trained:
    """The softly composed network, all of it from one training by the router's recipe.

    Args:
        options: ``modules: trunk`` shares everything before the routers' flatten.
        start: modules whose weights it begins with; it is then trained for ``finetune_epochs``.
    """
    recipe = options.router
    training = training_of(recipe, "router")
    if start is not None:
        training = replace(training, epochs=options.finetune_epochs)
    parts = [_architecture(options, tree, node, data) for node in range(len(tree.nodes))]
    settings = {**asdict(training), **recipe["training"], "epochs": training.epochs}
    key = Key(
        "composed",
        {
            "modules": options.modules,
            "tree": tree.plain(),
            "parts": parts,
            "optim": recipe["optim"],
            "seed": recipe["seed"],
            "training": {name: value for name, value in settings.items() if name != "minimum_accuracy"},
            "images": data.digest(),
            **artifacts.callbacks.recipe,
        },
        ENTRY_VERSIONS["composed"],
        tuple(start.uses) if start else (),
    )

    def build(folder: Path) -> dict[str, Any]:
        seed_everything("weights", recipe["seed"])
        subject = _untrained(options, tree, data, parts) if start is None else _begun(start)
        network = cast(ComposedNetwork, subject.model)
        network.train()  # subjects come in evaluation mode, and Lightning keeps the mode that it finds
        learner = Modular(
            network,
            recipe["optim"],
            training.label_smoothing,
            training.gradient_clip,
            parts=list(network.parts),
            targets=torch.tensor([node.targets for node in tree.nodes]),
            trunk=network.trunk,
        )
        notes = fitted(
            learner, data, training, folder, artifacts, seed=recipe["seed"], stage="modules: together",
            series="modules together",
        )  # fmt: skip
        save_description(subject, folder)
        return notes

    entry = artifacts.store.make(key, build)
    course = "modules together", "router", "modules: together"
    return trained_network(entry, recipe["select"], data, training, artifacts, *course)


def parts_of(whole: Trained, options: ComposedOptions, tree: Tree) -> TreeModules:
    """The modules of such a network, each with the images below its node; one on a trunk comes with the trunk."""
    network, subject = cast(ComposedNetwork, whole.subject.model), whole.subject
    modules = []
    for node, place in enumerate(tree.nodes):
        part = network.parts[node]
        module = replace(
            subject,
            model=part if network.trunk is None else nn.Sequential(network.trunk, part),
            architecture=_architecture(options, tree, node, whole.data),
            classes=place.children,
            notes={},
        )
        modules.append(replace(whole, subject=module, data=node_images(options, tree, node, whole.data)))
    return TreeModules(tree, modules, whole)


def _architecture(options: ComposedOptions, tree: Tree, node: int, data: ImageData) -> dict[str, Any]:
    """Of a node's module; on a shared trunk all are like the router."""
    where: Role = "router" if options.modules == "trunk" else recipe_name(tree, node)
    return architecture_of(options.recipe_of(where), node_images(options, tree, node, data))


def _untrained(options: ComposedOptions, tree: Tree, data: ImageData, architectures: list[dict[str, Any]]) -> Subject:
    normalisation = tuple(data.mean), tuple(data.std)
    parts = [
        Subject(rebuild(architecture), architecture, node.children, *normalisation, contrast=data.contrast)
        for node, architecture in zip(tree.nodes, architectures, strict=True)
    ]
    return composed_subject(parts, tree, Composition("soft"), share_trunk=options.modules == "trunk")


def _begun(start: TreeModules) -> Subject:
    return composed_subject([module.subject for module in start.modules], start.tree, Composition("soft"))
