"""Learning behaviour: accuracy against what was spent, of the composed modules and of the monolith."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from src.cost import cost
from src.data.image_set import ImageSet
from src.hierarchy.composition import Composition
from src.result import Figure, Result, table_of
from src.subjects import Subject, load_subject
from src.tasks.composition import composed
from src.tasks.predictions import batched
from src.tasks.train import Trained
from src.tasks.tree_modules import TreeModules

SECTION = "Learning"
BACKWARD = 3  # a training step costs about three forward passes


def add_learning(
    result: Result,
    modules: TreeModules,
    monolith: Trained,
    composition: Composition,
    config: Mapping[str, Any],
    test: ImageSet,
) -> None:
    """The composed network from the weights that each module had after k epochs, and the monolith from its own."""
    records = []
    kept = sorted({epoch for module in modules.modules for epoch in epochs_kept(module)})
    for epoch in kept:
        early = TreeModules(modules.tree, [_at(module, epoch) for module in modules.modules])
        subject = composed(config, early, monolith.data, composition)
        spent = [_spent(module, epoch) for module in modules.modules]
        records.append(
            _record("modules, composed", epoch, [sum(part) for part in zip(*spent, strict=True)], subject, test)
        )
    for epoch in epochs_kept(monolith):
        records.append(_record("monolith", epoch, _spent(monolith, epoch), _at(monolith, epoch).subject, test))
    if not records:
        return
    result.tables["learning"] = table_of(records)
    result.captions["learning"] = (
        "On test images. Images: training images seen by all modules together, repeats counted. Multiply-adds: three "
        "times those of a forward pass for every image seen. Weights are those of the epoch, not the chosen ones."
    )
    result.sections["learning"] = SECTION
    result.units |= {"training_macs": "T", "accuracy": "%"}
    for x, words in (("epoch", "epochs"), ("images", "training images seen"), ("training_macs", "multiply-adds spent")):
        result.figures.append(
            Figure("lines", "learning", f"Accuracy against {words}", x=x, y="accuracy", group="network", percent=True,
                   section=SECTION)
        )  # fmt: skip


def epochs_kept(network: Trained) -> list[int]:
    """Epochs whose weights are there."""
    return sorted(int(path.stem.split("_")[1]) for path in network.folder.glob("epoch_*.safetensors"))


def _early(modules: TreeModules, epoch: int) -> TreeModules:
    if modules.whole is not None:
        return TreeModules(modules.tree, modules.modules, _at(modules.whole, epoch))
    return TreeModules(modules.tree, [_at(module, epoch) for module in modules.modules])


def _at(network: Trained, epoch: int) -> Trained:
    """The network with the weights it had after ``epoch`` or, where it ended before, at its end."""
    last = max(number for number in epochs_kept(network) if number <= epoch)
    subject = load_subject(network.folder / f"epoch_{last:04d}.safetensors", [network.digest])
    subject.model.to(next(network.subject.model.parameters()).device)
    return replace(network, subject=subject, epoch=last)


def _spent(network: Trained, epoch: int) -> list[float]:
    """Images, optimiser steps and multiply-adds (in 10^12) up to the end of ``epoch``."""
    passes = min(epoch + 1, len(network.history))
    images = len(network.data.sets["train"]) * passes
    steps = -(-len(network.data.sets["train"]) // network.data.batch_size) * passes
    shape = network.data.input_shape
    return [images, steps, BACKWARD * images * cost(network.subject.model, shape).macs / 1e12]


def _record(name: str, epoch: int, spent: Sequence[float], subject: Subject, test: ImageSet) -> dict[str, Any]:
    right = batched(subject, test.images).argmax(1) == test.labels
    images, steps, macs = spent
    return {"network": name, "epoch": epoch + 1, "images": int(images), "steps": int(steps), "training_macs": macs,
            "accuracy": float(right.double().mean())}  # fmt: skip
