"""All modules of a label tree in one training: from the start, on a shared trunk, or after each had its own."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import nn

from src.artifacts.kinds import KINDS
from src.artifacts.learners import architecture_of, training_of
from src.artifacts.network import Trained
from src.artifacts.trained import select_epoch
from src.artifacts.tree_modules import TreeModules, node_images, recipe_name
from src.core.errors import UserError, suggestion
from src.core.store import Key, Store
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

if TYPE_CHECKING:
    from src.report.session import Session

WAYS = ("separate", "together", "trunk")


def check_way(config: Mapping[str, Any]) -> None:
    """UserError where ``modules`` or ``finetune_epochs`` is not allowed."""
    way, epochs = config["modules"], config["finetune_epochs"]
    if way not in WAYS:
        raise UserError(f"modules={way}: {suggestion(str(way), WAYS)}")
    if config["expert_cap"] is not None and (epochs or way != "separate"):
        raise UserError(f"expert_cap={config['expert_cap']}: modules trained together see all images; set it to null")
    if epochs and way != "separate":
        raise UserError(f"finetune_epochs={epochs}: modules={way} are trained in one training already; set it to 0")


def trained_together(
    config: Mapping[str, Any],
    tree: Tree,
    data: ImageData,
    store: Store,
    session: Session,
    start: TreeModules | None = None,
) -> Trained:
    """The softly composed network, all of it from one training by the router's recipe.

    Args:
        config: ``modules: trunk`` shares everything before the routers' flatten; ``router``, ``expert``.
        start: modules whose weights it begins with; it is then trained for ``finetune_epochs``.
    """
    recipe = config["router"]
    training = training_of(recipe, "router")
    if start is not None:
        training = Training(**{**recipe["training"], "epochs": config["finetune_epochs"]})
    parts = [_architecture(config, tree, node, data) for node in range(len(tree.nodes))]
    how = {name: value for name, value in vars(training).items() if name != "minimum_accuracy"}
    key = Key(
        "composed",
        {
            "modules": config["modules"],
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
        subject = _untrained(config, tree, data, parts) if start is None else _begun(start)
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
        with session.stage("modules: together", training.epochs) as advance:

            def on_epoch(metrics: dict[str, float]) -> None:
                advance(loss=metrics["train/loss"], accuracy=metrics["val/accuracy"])
                session.log("modules together", int(metrics["epoch"]), metrics)

            history = fit(
                learner,
                in_calls(data),
                training,
                folder,
                seed=recipe["seed"],
                device=device_of(config["device"]),
                on_epoch=on_epoch,
                on_event=session.event,
                on_seconds=seconds.append,
                resume_every=config["resume_every"],
            )
        save_description(subject, folder)
        best = max(range(len(history)), key=lambda i: (history[i]["val/accuracy"], -history[i]["val/loss"]))
        return {"best_epoch": best, "seconds": seconds[0]}

    entry = store.make(key, build)
    if not entry.built:
        session.found("modules: together", entry.digest)
    history = json.loads((entry.folder / HISTORY).read_text())
    epoch, name, _ = select_epoch(recipe["select"], history, entry.notes["best_epoch"], "router")
    subject = load_subject(entry.folder / f"{name}.safetensors", [entry.digest])
    subject.model.to(device_of(config["device"]))
    return Trained(subject, data, entry.digest, entry.folder, history, training, epoch, entry.notes["seconds"], {})


def parts_of(whole: Trained, config: Mapping[str, Any], tree: Tree) -> TreeModules:
    """The modules of such a network, each with the images below its node; one on a trunk comes with the trunk."""
    network, subject = cast(ComposedNetwork, whole.subject.model), whole.subject
    modules = []
    for node, place in enumerate(tree.nodes):
        part = network.parts[node]
        own = Subject(
            part if network.trunk is None else nn.Sequential(network.trunk, part),
            _architecture(config, tree, node, whole.data),
            place.children,
            subject.mean,
            subject.std,
            lineage=subject.lineage,
            contrast=subject.contrast,
        )
        modules.append(replace(whole, subject=own, data=node_images(config, tree, node, whole.data)))
    return TreeModules(tree, modules, whole)


def _architecture(config: Mapping[str, Any], tree: Tree, node: int, data: ImageData) -> dict[str, Any]:
    """Of a node's module; on a shared trunk all are like the router."""
    where = "router" if config["modules"] == "trunk" else recipe_name(tree, node)
    return architecture_of(config[where], node_images(config, tree, node, data))


def _untrained(config: Mapping[str, Any], tree: Tree, data: ImageData, architectures: list[dict[str, Any]]) -> Subject:
    normalisation = tuple(data.mean), tuple(data.std)
    parts = [
        Subject(rebuild(architecture), architecture, node.children, *normalisation, contrast=data.contrast)
        for node, architecture in zip(tree.nodes, architectures, strict=True)
    ]
    return composed_subject(parts, tree, Composition("soft"), share_trunk=config["modules"] == "trunk")


def _begun(start: TreeModules) -> Subject:
    return composed_subject([module.subject for module in start.modules], start.tree, Composition("soft"))
