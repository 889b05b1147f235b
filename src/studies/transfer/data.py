"""Experts on images of another look: as they are, and trained further on a few of these images."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from torch import Tensor

from src.artifacts.changed_networks import altered
from src.artifacts.network import Trained
from src.artifacts.predictions import batched
from src.artifacts.trained import trained
from src.artifacts.tree_modules import TreeModules
from src.core.errors import UserError
from src.core.estimate import Estimate
from src.core.result import Figure, Result, table_of
from src.core.store import Store
from src.data.datamodule import ImageData
from src.data.fewer_images import per_class
from src.data.relabelled import relabelled
from src.methods.hierarchy.nodes import Tree
from src.networks.subjects import Subject
from src.statistics.bootstrap import Resampled, bootstrap_weights, estimate, over_seeds, paired_difference

if TYPE_CHECKING:
    from src.report.session import Session

SECTION = "Another data set"
WARM, SCRATCH = "warm start", "from scratch"


@dataclass(frozen=True)
class TargetImages:
    """Images to move to; for each of their classes its label in the source, or -1."""

    data: ImageData
    labels: Tensor

    def below(self, tree: Tree, node: int) -> ImageData:
        """Those of a node of the source's tree, its children as classes."""
        own = tree.nodes[node]
        targets = [own.targets[label] if label >= 0 else -1 for label in self.labels.tolist()]
        return relabelled(self.data, targets, own.children)


@dataclass
class _Expert:
    """One expert's accuracies, resampled over the test images: of its source, and by (start, images per class)."""

    name: str
    chance: float
    source: Resampled
    zero_shot: Resampled
    few: dict[tuple[str, int], Resampled]

    def gain(self, count: int) -> Resampled:
        """Of the warm start over the start from scratch."""
        return paired_difference(self.few[WARM, count], self.few[SCRATCH, count])

    def over_zero_shot(self, count: int) -> Resampled:
        """Of the warm start over the source's expert as it is."""
        return paired_difference(self.few[WARM, count], self.zero_shot)


def add_target(
    result: Result,
    modules: TreeModules,
    nodes: Sequence[int],
    target: TargetImages,
    sizes: Sequence[int],
    config: Mapping[str, Any],
    store: Store,
    session: Session,
) -> str:
    """Curves over training images per class, a table of all experts, metrics.

    Returns:
        What was found, a part of the verdict.
    """
    experts, used = [], []
    for number, node in enumerate(nodes):
        images = target.below(modules.tree, node)
        weights = _weights(len(images.sets["test"]), config, number)
        source, test = modules.modules[node], images.sets["test"]
        own = source.data.sets["test"]
        seen = _Expert(
            modules.tree.nodes[node].name,
            1 / len(images.classes),
            _run(source.subject, own.images, own.labels, _weights(len(own), config, number)),
            _run(source.subject, test.images, test.labels, weights),
            {},
        )
        for start, count, network in _trainings(seen.name, source, images, sizes, config, store, session):
            seen.few[start, count] = _run(network.subject, test.images, test.labels, weights)
            used.append(network.digest)
        experts.append(seen)
    result.uses = list(dict.fromkeys([*result.uses, *used]))
    return _add(result, experts, sizes, config)


def sizes_of(config: Mapping[str, Any], target: TargetImages, session: Session) -> list[int]:
    """Training images per class, from few to many.

    Raises:
        UserError: there is none, or one below 1.
    """
    wanted = config["images_per_class"]
    if not isinstance(wanted, list) or not wanted or not all(type(count) is int and count >= 1 for count in wanted):
        raise UserError(f"images_per_class={wanted}: allowed is a list of whole numbers from 1, e.g. [4, 16, 64]")
    there = int(target.data.sets["train"].per_class[target.labels >= 0].max())
    if max(wanted) > there:
        session.event(f"images_per_class={max(wanted)}: the target has {there} training images of a class at most")
    return sorted({min(count, there) for count in wanted})


def _trainings(
    name: str,
    source: Trained,
    images: ImageData,
    sizes: Sequence[int],
    config: Mapping[str, Any],
    store: Store,
    session: Session,
) -> list[tuple[str, int, Trained]]:
    """Both starts on the same images, in as many steps for few images as for the most."""
    recipe = altered(config["expert"], config["few"], "few")
    parts = {count: per_class(images, count, config["seed"]) for count in sizes}
    steps = recipe["training"]["epochs"] * _batches(parts[sizes[-1]])
    found = []
    for count, part in parts.items():
        own = altered(recipe, {"training": {"epochs": -(-steps // _batches(part))}}, "few")
        for start, begin in ((WARM, source.subject), (SCRATCH, None)):
            role = f"{name}, {start}, {count} per class"
            network = trained(own, store, session, role=role, where="expert", config=config, data=part, start=begin)
            found.append((start, count, network))
    return found


def _batches(data: ImageData) -> int:
    return -(-len(data.sets["train"]) // data.batch_size)


def _weights(images: int, config: Mapping[str, Any], number: int) -> Tensor:
    """Resamples of one expert's images; another expert has other images, and other resamples."""
    return bootstrap_weights(images, resamples=config["resamples"], seed=config["seed"] + 1000 * (number + 1))


def _run(subject: Subject, images: Tensor, labels: Tensor, weights: Tensor) -> Resampled:
    hits = (batched(subject, images).argmax(1) == labels).float()
    return Resampled(hits.double().mean().item(), (weights @ hits).double() / len(hits))


def _add(result: Result, experts: Sequence[_Expert], sizes: Sequence[int], config: Mapping[str, Any]) -> str:
    def over(of: Callable[[_Expert], Resampled]) -> Estimate:
        whole = over_seeds([of(expert) for expert in experts], seed=config["seed"])
        return estimate(whole, n=len(experts), unit="experts")

    zero, source = over(lambda expert: expert.zero_shot), over(lambda expert: expert.source)
    curve = [{"start": WARM, "images_per_class": 0, **_bounds("accuracy", zero)}]
    curve += [
        {"start": start, "images_per_class": count,
         **_bounds("accuracy", over(lambda expert, key=(start, count): expert.few[key]))}  # type: ignore[misc]
        for start in (WARM, SCRATCH)
        for count in sizes
    ]  # fmt: skip
    gains = {count: over(lambda expert, count=count: expert.gain(count)) for count in sizes}  # type: ignore[misc]
    result.tables["curve"] = table_of(curve)
    further = {count: over(lambda expert, count=count: expert.over_zero_shot(count)) for count in sizes}  # type: ignore[misc]
    result.tables["gain"] = table_of(
        [
            {"images_per_class": count, **_bounds("gain", gains[count]), **_bounds("over_zero_shot", further[count])}
            for count in sizes
        ]
    )
    result.tables["experts"] = table_of([_row(expert, count) for expert in experts for count in sizes])
    _say(result, len(experts), sum(expert.chance for expert in experts) / len(experts))
    least = sizes[0]
    result.metrics |= {
        "gain": gains[least],
        "over_zero_shot": further[least],
        "zero_shot_accuracy": zero,
        "source_accuracy": source,
        **{
            name: over(lambda expert, start=start: expert.few[start, least])  # type: ignore[misc]
            for name, start in (("warm_accuracy", WARM), ("scratch_accuracy", SCRATCH))
        },
    }
    result.units |= dict.fromkeys(("zero_shot_accuracy", "source_accuracy", "warm_accuracy", "scratch_accuracy"), "%")
    found = gains[least]
    return (
        f"with {least} images per class of the other look a warm start gains {100 * found.value:+.1f} points "
        f"[{100 * found.low:+.1f}, {100 * found.high:+.1f}] over {len(experts)} experts "
        f"({result.metrics['warm_accuracy'].value:.1%} against {result.metrics['scratch_accuracy'].value:.1%}, "
        f"without any training {zero.value:.1%})"
    )


def _row(expert: _Expert, count: int) -> dict[str, Any]:
    return {
        "expert": expert.name,
        "images_per_class": count,
        "source_accuracy": expert.source.value,
        "zero_shot_accuracy": expert.zero_shot.value,
        "warm_accuracy": expert.few[WARM, count].value,
        "scratch_accuracy": expert.few[SCRATCH, count].value,
        **_bounds("gain", estimate(expert.gain(count))),
    }


def _say(result: Result, experts: int, chance: float) -> None:
    """Captions, sections, units, figures."""
    result.captions["curve"] = (
        f"Mean over {experts} experts on test images of the other data set, among the classes of their node, where "
        f"chance is {chance:.0%}; 0 images per class: the source's expert as it is. Images are normalised as the "
        "source's. Every training takes as many steps as the one with the most images, and its last weights; what the "
        "training of the source's expert took is not counted to a warm start. "
        "Intervals: experts and images resampled; with so few experts they are narrow."
    )
    result.captions["gain"] = (
        "Gain: warm start minus from scratch. Over zero shot: warm start minus the source's expert as it is; below "
        "zero a few images have done more harm than good. Both in pairs over experts and images."
    )
    result.captions["experts"] = (
        "Every expert by itself, among its own classes. Source accuracy: on test images of the data set that it was "
        "trained on. Gain: warm start minus from scratch, with its interval over images."
    )
    result.sections |= dict.fromkeys(("curve", "gain", "experts"), SECTION)
    result.units |= {"accuracy": "%", "gain": "points", "over_zero_shot": "points"}
    result.figures += [
        Figure("lines", "curve", "Accuracy with a few images of the other look", "With 95% intervals.",
               x="images_per_class", y="accuracy", group="start", percent=True, section=SECTION),
        Figure("bars", "experts", "Gain of the warm start", "Of each expert, with 95% intervals over test images.",
               x="expert", y="gain", group="images_per_class", section=SECTION),
    ]  # fmt: skip


def _bounds(name: str, found: Estimate) -> dict[str, float]:
    return {name: found.value, f"{name}_low": found.low, f"{name}_high": found.high}
