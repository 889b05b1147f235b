"""Learning behaviour: accuracy against what was spent, of the composed modules and of the monolith."""

from dataclasses import dataclass, replace
from typing import NamedTuple

from src.artifacts.composed import Networks
from src.artifacts.composition import composed, seen_through_views
from src.artifacts.network import Trained, batched
from src.artifacts.tree_modules import TreeModules
from src.data.image_set import ImageSet
from src.networks.cost import BACKWARD, cost
from src.networks.subjects import Subject, load_subject
from src.studies.composition.accuracy import MONOLITH
from src.studies.composition.cost import cost_of
from src.studies.composition.options import Compose


class Spent(NamedTuple):
    """What a training had taken: images seen (repeats counted), optimiser steps, multiply-adds in 10^12."""

    images: int
    steps: int
    macs: float


@dataclass(frozen=True)
class Point:
    """A network on its way: what was spent on it, and its accuracy on test images."""

    network: str
    spent: Spent
    accuracy: float


@dataclass(frozen=True)
class Learning:
    """Points of the composed network and of the monolith, in order; ``images`` is how many test images judge them."""

    images: int
    points: tuple[Point, ...]


def learning_of(networks: Networks, name: str, test: ImageSet, options: Compose) -> Learning | None:
    """The composed network from the k-th weights that each module left on its way, and the monolith from its own.

    Args:
        name: of the composed network.

    Returns:
        None where a network left no weights on its way.
    """
    modules, monolith = networks.modules, networks.monolith
    if not all(epochs_kept(network) for network in (monolith, *modules.modules)):
        return None
    points = []
    for number in range(max(len(epochs_kept(module)) for module in modules.modules)):
        subject = composed(options, _early(modules, number), monolith.data, networks.composition)
        points.append(Point(name, _spent_by(modules, number), _accuracy(subject, test)))
    for number, epoch in enumerate(epochs_kept(monolith)):
        early = seen_through_views(options, _at(monolith, number), monolith.data)
        points.append(Point(MONOLITH, _spent(monolith, epoch), _accuracy(early, test)))
    return Learning(len(test), tuple(points))


def epochs_kept(network: Trained) -> list[int]:
    """Epochs whose weights are there."""
    return sorted(int(path.stem.split("_")[1]) for path in network.folder.glob("epoch_*.safetensors"))


def _early(modules: TreeModules, point: int) -> TreeModules:
    if modules.whole is not None:
        return TreeModules(modules.tree, modules.modules, _at(modules.whole, point))
    return TreeModules(modules.tree, [_at(module, point) for module in modules.modules])


def _spent_by(modules: TreeModules, point: int) -> Spent:
    """As :func:`_spent`, by all modules; of one training for all of them, what it itself took."""
    if modules.whole is None:
        images, steps, macs = zip(*(_spent(module, _epoch(module, point)) for module in modules.modules), strict=True)
        return Spent(sum(images), sum(steps), sum(macs))
    whole = _spent(modules.whole, _epoch(modules.whole, point))
    return whole._replace(macs=BACKWARD * whole.images * cost_of(modules).hard_macs / 1e12)


def _epoch(network: Trained, point: int) -> int:
    """The epoch of its k-th kept weights, or of its last ones."""
    epochs = epochs_kept(network)
    return epochs[min(point, len(epochs) - 1)]


def _at(network: Trained, point: int) -> Trained:
    epoch = _epoch(network, point)
    subject = load_subject(network.folder / f"epoch_{epoch:04d}.safetensors", [network.digest], code=True)
    subject.model.to(next(network.subject.model.parameters()).device)
    return replace(network, subject=subject, epoch=epoch)


def _spent(network: Trained, epoch: int) -> Spent:
    """Up to the end of ``epoch``."""
    passes = min(epoch + 1, len(network.history))
    images = len(network.data.sets["train"]) * passes
    steps = -(-len(network.data.sets["train"]) // network.data.batch_size) * passes
    shape = network.data.input_shape
    return Spent(images, steps, BACKWARD * images * cost(network.subject.model, shape).macs / 1e12)


def _accuracy(subject: Subject, test: ImageSet) -> float:
    return float((batched(subject, test.images).argmax(1) == test.labels).double().mean())
