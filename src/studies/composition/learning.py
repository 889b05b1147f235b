"""Learning behaviour: accuracy against what was spent, of the composed modules and of the monolith."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from src.artifacts.composition import composed, seen_through_views
from src.artifacts.network import Trained
from src.artifacts.predictions import batched
from src.artifacts.tree_modules import TreeModules
from src.core.result import Figure, Result, table_of
from src.data.image_set import ImageSet
from src.methods.hierarchy.composition import Composition
from src.networks.cost import BACKWARD, cost
from src.networks.subjects import Subject, load_subject
from src.studies.composition.cost import cost_of

SECTION = "Learning"


def add_learning(
    result: Result,
    modules: TreeModules,
    monolith: Trained,
    composition: Composition,
    config: Mapping[str, Any],
    test: ImageSet,
    name: str,
) -> None:
    """The composed network from the k-th weights that each module left on its way, and the monolith from its own."""
    if not all(epochs_kept(network) for network in (monolith, *modules.modules)):
        result.events.append("training.keep_every: no weights were kept on the way, so there are no learning curves")
        return
    records = []
    for point in range(max(len(epochs_kept(module)) for module in modules.modules)):
        subject = composed(config, _early(modules, point), monolith.data, composition)
        records.append(_record(name, _spent_by(modules, point), subject, test))
    for point, epoch in enumerate(epochs_kept(monolith)):
        early = seen_through_views(config, _at(monolith, point), monolith.data)
        records.append(_record("monolith", _spent(monolith, epoch), early, test))
    result.tables["learning"] = table_of(records)
    result.captions["learning"] = (
        f"On {len(test)} test images. Images: training images seen by all modules together, repeats counted. "
        "Multiply-adds: three "
        "times those of a forward pass for every image seen. Of modules that trained for different numbers of epochs "
        "the same fraction of each one's training, where none was stopped early; what came before a fine-tuning is not "
        "counted. Weights are those of the epoch, not the chosen ones."
    )
    result.sections["learning"] = SECTION
    result.units |= {"training_macs": "T", "accuracy": "%"}
    for x, words in (("images", "images seen"), ("steps", "optimiser steps"), ("training_macs", "multiply-adds spent")):
        result.figures.append(
            Figure("lines", "learning", f"Accuracy against {words}", x=x, y="accuracy", group="network", percent=True,
                   section=SECTION)
        )  # fmt: skip


def epochs_kept(network: Trained) -> list[int]:
    """Epochs whose weights are there."""
    return sorted(int(path.stem.split("_")[1]) for path in network.folder.glob("epoch_*.safetensors"))


def _early(modules: TreeModules, point: int) -> TreeModules:
    if modules.whole is not None:
        return TreeModules(modules.tree, modules.modules, _at(modules.whole, point))
    return TreeModules(modules.tree, [_at(module, point) for module in modules.modules])


def _spent_by(modules: TreeModules, point: int) -> list[float]:
    """As :func:`_spent`, by all modules; of one training for all of them, what it itself took."""
    if modules.whole is None:
        spent = zip(*(_spent(module, _epoch(module, point)) for module in modules.modules), strict=True)
        return [sum(part) for part in spent]
    images, steps, _ = _spent(modules.whole, _epoch(modules.whole, point))
    return [images, steps, BACKWARD * images * cost_of(modules).hard_macs / 1e12]


def _epoch(network: Trained, point: int) -> int:
    """The epoch of its k-th kept weights, or of its last ones."""
    kept = epochs_kept(network)
    return kept[min(point, len(kept) - 1)]


def _at(network: Trained, point: int) -> Trained:
    epoch = _epoch(network, point)
    subject = load_subject(network.folder / f"epoch_{epoch:04d}.safetensors", [network.digest])
    subject.model.to(next(network.subject.model.parameters()).device)
    return replace(network, subject=subject, epoch=epoch)


def _spent(network: Trained, epoch: int) -> list[float]:
    """Images, optimiser steps and multiply-adds (in 10^12) up to the end of ``epoch``."""
    passes = min(epoch + 1, len(network.history))
    images = len(network.data.sets["train"]) * passes
    steps = -(-len(network.data.sets["train"]) // network.data.batch_size) * passes
    shape = network.data.input_shape
    return [images, steps, BACKWARD * images * cost(network.subject.model, shape).macs / 1e12]


def _record(name: str, spent: Sequence[float], subject: Subject, test: ImageSet) -> dict[str, Any]:
    right = batched(subject, test.images).argmax(1) == test.labels
    images, steps, macs = spent
    return {"network": name, "images": int(images), "steps": int(steps), "training_macs": macs,
            "accuracy": float(right.double().mean())}  # fmt: skip
