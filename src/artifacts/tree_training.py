"""All modules of a label tree in one training: from the start, on a shared trunk, or after each had its own."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import torch
from torch import nn

from src.artifacts.artifacts import Artifacts
from src.artifacts.kinds import KINDS
from src.artifacts.learners import architecture_of, training_of
from src.artifacts.network import Trained
from src.artifacts.options import ComposedOptions
from src.artifacts.trained import select_epoch
from src.artifacts.tree_modules import Role, TreeModules, node_images, recipe_name
from src.core.errors import UserError
from src.core.store import Key
from src.data.datamodule import ImageData
from src.data.opening import in_calls
from src.methods.hierarchy.composed import ComposedNetwork
from src.methods.hierarchy.composed_subject import composed_subject
from src.methods.hierarchy.composition import Composition
from src.methods.hierarchy.nodes import Tree
from src.networks.subjects import Subject, load_subject, rebuild, save_description
from src.training.checkpoints import HISTORY
from src.training.determinism import device_of, seed_everything
from src.training.fitting import Training, fit
from src.training.learners.modular import Modular


def check_way(options: ComposedOptions) -> None:
    """UserError where ``finetune_epochs`` or ``expert_cap`` does not go with ``modules``."""
    way, epochs = options.modules, options.finetune_epochs
    if options.expert_cap is not None and (epochs or way != "separate"):
        raise UserError(f"expert_cap={options.expert_cap}: modules trained together see all images; set it to null")
    if epochs and way != "separate":
        raise UserError(f"finetune_epochs={epochs}: modules={way} are trained in one training already; set it to 0")


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
        training = Training(**{**recipe["training"], "epochs": options.finetune_epochs})
    parts = [_architecture(options, tree, node, data) for node in range(len(tree.nodes))]
    how = {name: value for name, value in vars(training).items() if name != "minimum_accuracy"}
    key = Key(
        "composed",
        {
            "modules": options.modules,
            "tree": tree.plain(),
            "parts": parts,
            "optim": recipe["optim"],
            "seed": recipe["seed"],
            "training": how,
            "images": data.digest(),
        },
        KINDS["composed"],
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
            parts=list(network.parts),
            targets=torch.tensor([node.targets for node in tree.nodes]),
            trunk=network.trunk,
            label_smoothing=training.label_smoothing,
            gradient_clip=training.gradient_clip,
        )
        seconds: list[float] = []
        with artifacts.session.stage("modules: together", training.epochs) as advance:

            def on_epoch(metrics: dict[str, float]) -> None:
                advance(loss=metrics["train/loss"], accuracy=metrics["val/accuracy"])
                artifacts.session.log("modules together", int(metrics["epoch"]), metrics)

            history = fit(
                learner,
                in_calls(data),
                training,
                folder,
                seed=recipe["seed"],
                device=device_of(artifacts.running.device),
                on_epoch=on_epoch,
                on_event=artifacts.session.event,
                on_seconds=seconds.append,
                resume_every=artifacts.running.resume_every,
            )
        save_description(subject, folder)
        best = max(range(len(history)), key=lambda i: (history[i]["val/accuracy"], -history[i]["val/loss"]))
        return {"best_epoch": best, "seconds": seconds[0]}

    entry = artifacts.store.make(key, build)
    if not entry.built:
        artifacts.session.found("modules: together", entry.digest)
    history = json.loads((entry.folder / HISTORY).read_text())
    epoch, name, _ = select_epoch(recipe["select"], history, entry.notes["best_epoch"], "router")
    subject = load_subject(entry.folder / f"{name}.safetensors", [entry.digest])
    subject.model.to(device_of(artifacts.running.device))
    return Trained(subject, data, entry.digest, entry.folder, history, training, epoch, entry.notes["seconds"], {})


def parts_of(whole: Trained, options: ComposedOptions, tree: Tree) -> TreeModules:
    """The modules of such a network, each with the images below its node; one on a trunk comes with the trunk."""
    network, subject = cast(ComposedNetwork, whole.subject.model), whole.subject
    modules = []
    for node, place in enumerate(tree.nodes):
        part = network.parts[node]
        own = Subject(
            part if network.trunk is None else nn.Sequential(network.trunk, part),
            _architecture(options, tree, node, whole.data),
            place.children,
            subject.mean,
            subject.std,
            lineage=subject.lineage,
            contrast=subject.contrast,
        )
        modules.append(replace(whole, subject=own, data=node_images(options, tree, node, whole.data)))
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
