"""What modular and monolithic networks cost: stored and active, to train and to ask."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from src.artifacts.network import Trained
from src.artifacts.predictions import of_part
from src.artifacts.tree_modules import TreeModules
from src.core.result import Result, table_of
from src.methods.hierarchy.composed import ComposedNetwork
from src.methods.hierarchy.costs import CompositionCost, composition_cost
from src.networks import memory
from src.networks.cost import Cost, cost, latency
from src.networks.subjects import Subject

SECTION = "Cost"
_TOGETHER = "Of modules trained together epochs and seconds are those of their one training. "


def add_costs(
    result: Result,
    modules: TreeModules,
    monolith: Trained,
    networks: Mapping[str, Subject],
    images: Tensor,
) -> None:
    """A table of the trained parts, and one of the networks asked for ``images`` (uint8) one by one and at once."""
    _add_parts(result, modules, monolith)
    found = cost_of(modules)
    whole = _cost(monolith)
    rows = [
        {"network": "monolith", "stored_parameters": whole.parameters, "active_parameters": whole.parameters,
         "active_macs": whole.macs},
        {"network": "modules, hard route", "stored_parameters": found.stored_parameters,
         "active_parameters": round(found.hard_parameters), "active_macs": round(found.hard_macs)},
        {"network": "modules, soft", "stored_parameters": found.stored_parameters,
         "active_parameters": found.stored_parameters, "active_macs": found.soft_macs},
    ]  # fmt: skip
    for row, subject in zip(rows, networks.values(), strict=True):
        ready = subject.normalise(images)
        row["one_image_ms"] = 1e3 * latency(subject.model, ready[:1])
        row["batch_ms_per_image"] = 1e3 * latency(subject.model, ready) / len(ready)
    result.tables["cost"] = table_of(rows)
    result.captions["cost"] = (
        "Of one image seen through one crop; a multiply-add counts 1. Hard route: the mean over the classes of the "
        f"test images. Milliseconds: the median of repeated calls with {torch.get_num_threads()} thread, measured "
        "beside whatever else ran. match=macs makes the monolith as large as the hard route, whatever rule composes "
        "the modules."
    )
    result.sections["cost"] = SECTION
    result.metrics["stored_parameters_ratio"] = _ratio(found.stored_parameters, whole.parameters)
    result.metrics["active_macs_ratio"] = _ratio(found.hard_macs, whole.macs)


def cost_of(modules: TreeModules) -> CompositionCost:
    """Of all modules; a trunk that they share counts once."""
    costs = [_cost(module) for module in modules.modules]
    trunk = None if modules.whole is None else cast(ComposedNetwork, modules.whole.subject.model).trunk
    if trunk is None:
        return composition_cost(modules.tree, costs)
    shared = cost(trunk, modules.modules[0].data.input_shape)
    heads = [Cost(own.parameters - shared.parameters, own.macs - shared.macs) for own in costs]
    return composition_cost(modules.tree, heads, trunk=shared)


def _add_parts(result: Result, modules: TreeModules, monolith: Trained) -> None:
    rows = []
    for name, network in (
        ("monolith", monolith),
        *zip((n.name for n in modules.tree.nodes), modules.modules, strict=True),
    ):
        own = _cost(network)
        validation, test = (_judged(network, part) for part in ("validation", "test"))
        rows.append(
            {
                "part": name,
                "outputs": len(network.subject.classes),
                "parameters": own.parameters,
                "macs": own.macs,
                "train_images": len(network.data.sets["train"]),
                "epochs": len(network.history),
                "best_epoch": network.epoch + 1,
                "validation_accuracy": validation.accuracy,
                "test_accuracy": test.accuracy,
                "validation_loss": validation.loss,
                "training_seconds": network.seconds,
                "training_memory_mib": _peak(network) / 2**20,
            }
        )
    result.tables["parts"] = table_of(rows)
    result.captions["parts"] = (
        "Every network that was trained, on the images below its node; accuracy and loss: on those among the "
        "validation and test images, as if every router before it were right. "
        f"{_TOGETHER if modules.whole else ''}Training memory: predicted peak of one process beyond what torch's code "
        "takes, as if trained with SGD (Adam holds one more copy of the weights); seconds: wall time beside whatever "
        "else ran, 0 where it was found in the store untimed."
    )
    result.sections["parts"] = SECTION
    result.units |= {
        "training_seconds": "s",
        "training_memory_mib": "MiB",
        "validation_accuracy": "%",
        "test_accuracy": "%",
    }


class _Judged(NamedTuple):
    accuracy: float
    loss: float


def _judged(network: Trained, part: str) -> _Judged:
    """By the network's own answers: the history of a training that it shared with others is of all of them."""
    logits, labels = of_part(network, part)
    hits = (logits.argmax(1) == labels).double()
    return _Judged(float(hits.mean()), float(cross_entropy(logits.double(), labels)))


def _peak(network: Trained) -> int:
    architecture, data = network.subject.architecture, network.data
    precision = network.training.precision if network.training.precision in memory.PRECISIONS else "32-true"
    training = memory.Training(architecture, data.batch_size, precision=precision)
    return memory.predict(training, device=str(next(network.subject.model.parameters()).device)).total


def _cost(network: Trained) -> Any:
    return cost(network.subject.model, network.data.input_shape)


def _ratio(first: float, second: float) -> Any:
    from src.statistics.bootstrap import Estimate

    return Estimate(first / second)
