"""What modular and monolithic networks cost: stored and active, to train and to ask."""

from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from src.artifacts.network import Trained, of_part
from src.artifacts.tree_modules import TreeModules
from src.core.estimate import Estimate
from src.methods.hierarchy.composed import ComposedNetwork
from src.methods.hierarchy.costs import CompositionCost, composition_cost
from src.networks import memory
from src.networks.cost import Cost, cost, latency
from src.networks.subjects import Subject
from src.studies.composition.accuracy import MONOLITH


@dataclass(frozen=True)
class Part:
    """A network that was trained, on the images below its node.

    Attributes:
        epochs, best_epoch: how many there were, and which was chosen, counted from 1.
        validation_accuracy, test_accuracy, validation_loss: as if every router before it were right.
        training_seconds: 0 where it was found in the store untimed.
        training_memory_mib: the predicted peak.
    """

    part: str
    outputs: int
    parameters: int
    macs: int
    train_images: int
    epochs: int
    best_epoch: int
    validation_accuracy: float
    test_accuracy: float
    validation_loss: float
    training_seconds: float
    training_memory_mib: float


@dataclass(frozen=True)
class NetworkCost:
    """Of one image seen through one crop; milliseconds are medians of repeated calls, for one image and of a batch."""

    network: str
    stored_parameters: int
    active_parameters: int
    active_macs: int
    one_image_ms: float
    batch_ms_per_image: float


@dataclass(frozen=True)
class Costs:
    """All trained parts, and what the monolith, the hard route and the soft composition cost.

    Attributes:
        together: whether the modules shared one training.
        threads: that the milliseconds were measured with.
        stored_parameters_ratio, active_macs_ratio: of the modules (by the hard route) to the monolith's.
    """

    parts: tuple[Part, ...]
    networks: tuple[NetworkCost, ...]
    together: bool
    threads: int
    stored_parameters_ratio: float
    active_macs_ratio: float

    def metrics(self) -> dict[str, Estimate]:
        """The ratios."""
        return {
            "stored_parameters_ratio": Estimate(self.stored_parameters_ratio),
            "active_macs_ratio": Estimate(self.active_macs_ratio),
        }


def costs_of(
    modules: TreeModules, monolith: Trained, whole: Subject, hard: Subject, soft: Subject, images: Tensor
) -> Costs:
    """Of the trained parts, and of the networks when asked for ``images`` (uint8) one by one and at once.

    Args:
        whole: the monolith as it is asked.
        hard, soft: the modules as they are asked, composed by these rules.
    """
    composition, whole_cost = cost_of(modules), _cost(monolith)
    stored = composition.stored_parameters
    networks = (
        _asked(MONOLITH, whole_cost.parameters, whole_cost.parameters, whole_cost.macs, whole, images),
        _asked("modules, hard route", stored, round(composition.hard_parameters), round(composition.hard_macs), hard,
               images),
        _asked("modules, soft", stored, stored, composition.soft_macs, soft, images),
    )  # fmt: skip
    names = [node.name for node in modules.tree.nodes]
    parts = [_part(MONOLITH, monolith), *map(_part, names, modules.modules)]
    return Costs(
        tuple(parts),
        networks,
        together=modules.whole is not None,
        threads=torch.get_num_threads(),
        stored_parameters_ratio=stored / whole_cost.parameters,
        active_macs_ratio=composition.hard_macs / whole_cost.macs,
    )


def cost_of(modules: TreeModules) -> CompositionCost:
    """Of all modules; a trunk that they share counts once."""
    costs = [_cost(module) for module in modules.modules]
    trunk = None if modules.whole is None else cast(ComposedNetwork, modules.whole.subject.model).trunk
    if trunk is None:
        return composition_cost(modules.tree, costs)
    shared = cost(trunk, modules.modules[0].data.input_shape)
    heads = [Cost(whole.parameters - shared.parameters, whole.macs - shared.macs) for whole in costs]
    return composition_cost(modules.tree, heads, trunk=shared)


def _asked(name: str, stored: int, active: int, macs: int, subject: Subject, images: Tensor) -> NetworkCost:
    ready = subject.normalise(images)
    one, batch = latency(subject.model, ready[:1]), latency(subject.model, ready)
    return NetworkCost(name, stored, active, macs, 1e3 * one, 1e3 * batch / len(ready))


def _part(name: str, network: Trained) -> Part:
    """Judged by the network's own answers: the history of a training that it shared with others is of all of them."""
    network_cost = _cost(network)
    accuracies, losses = {}, {}
    for images in ("validation", "test"):
        logits, labels = of_part(network, images)
        accuracies[images] = float((logits.argmax(1) == labels).double().mean())
        losses[images] = float(cross_entropy(logits.double(), labels))
    return Part(
        part=name,
        outputs=len(network.subject.classes),
        parameters=network_cost.parameters,
        macs=network_cost.macs,
        train_images=len(network.data.sets["train"]),
        epochs=len(network.history),
        best_epoch=network.epoch + 1,
        validation_accuracy=accuracies["validation"],
        test_accuracy=accuracies["test"],
        validation_loss=losses["validation"],
        training_seconds=network.seconds,
        training_memory_mib=_peak(network) / 2**20,
    )


def _peak(network: Trained) -> int:
    architecture, data = network.subject.architecture, network.data
    precision = network.training.precision if network.training.precision in memory.PRECISIONS else "32-true"
    training = memory.Training(architecture, data.batch_size, precision=precision)
    return memory.trace(training, str(next(network.subject.model.parameters()).device)).peak


def _cost(network: Trained) -> Cost:
    return cost(network.subject.model, network.data.input_shape)
