"""Experts on images of another look: as they are, and trained further on a few of these images."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from src.artifacts.artifacts import Artifacts
from src.artifacts.changed_networks import altered
from src.artifacts.network import Trained, batched
from src.artifacts.trained import trained
from src.core.errors import UserError
from src.core.estimate import Estimate
from src.core.shown import Shown
from src.data.datamodule import ImageData
from src.data.opening import data_of
from src.data.relabelled import per_class, relabelled
from src.methods.hierarchy.nodes import Tree
from src.networks.subjects import Subject
from src.report.session import Session
from src.statistics.bootstrap import Resampled, bootstrap_weights, estimate, over_seeds, paired_difference
from src.studies.transfer.options import Transfer

#: What a training on the target begins with: the source's weights, or random ones.
Start = Literal["warm", "scratch"]
WARM: Start = "warm"
SCRATCH: Start = "scratch"
STARTS: Mapping[Start, str] = {WARM: "warm start", SCRATCH: "from scratch"}  # in tables and on the screen


@dataclass(frozen=True)
class ExpertFindings(Shown):
    """One expert's accuracies among its own classes, resampled over test images.

    Attributes:
        chance: accuracy of guessing.
        images: test images of the target below its node.
        source: on the test images of the data it was trained on.
        zero_shot: as it is, on the target.
        few: by (start, images per class), on the target.
    """

    name: str
    chance: float
    images: int
    source: Resampled
    zero_shot: Resampled
    few: Mapping[tuple[Start, int], Resampled]

    def gain(self, count: int) -> Resampled:
        """Of the warm start over the start from scratch."""
        return paired_difference(self.few[WARM, count], self.few[SCRATCH, count])

    def gain_over_images(self, count: int) -> Estimate:
        """The same with its interval over this expert's test images."""
        return estimate(self.gain(count), n=self.images, unit="images")

    def over_zero_shot(self, count: int) -> Resampled:
        """Of the warm start over the source's expert as it is."""
        return paired_difference(self.few[WARM, count], self.zero_shot)


@dataclass(frozen=True)
class TargetFindings(Shown):
    """Means over experts; intervals are over experts and images.

    Attributes:
        sizes: training images per class, from few to many.
        few: by (start, images per class).
        gain, over_zero_shot: by images per class: the warm start minus the start from scratch, minus zero shot.
    """

    experts: Sequence[ExpertFindings]
    sizes: Sequence[int]
    source: Estimate
    zero_shot: Estimate
    few: Mapping[tuple[Start, int], Estimate]
    gain: Mapping[int, Estimate]
    over_zero_shot: Mapping[int, Estimate]

    @property
    def chance(self) -> float:
        return sum(expert.chance for expert in self.experts) / len(self.experts)


def trained_further(
    name: str,
    source: Trained,
    images: ImageData,
    sizes: Sequence[int],
    options: Transfer,
    artifacts: Artifacts,
) -> dict[tuple[Start, int], Trained]:
    """Networks of both starts on the same images, in as many steps for few images as for the most.

    Args:
        name: of the expert, for the screen.
        images: of the target, below the expert's node.
    """
    recipe = altered(options.expert, options.few, "few")
    parts = {count: per_class(images, count, options.seed) for count in sizes}
    steps = recipe["training"]["epochs"] * _batches(parts[sizes[-1]])
    networks = {}
    starts: tuple[tuple[Start, Subject | None], ...] = ((WARM, source.subject), (SCRATCH, None))
    for count, part in parts.items():
        as_long = altered(recipe, {"training": {"epochs": -(-steps // _batches(part))}}, "few")
        for start, weights in starts:
            role = f"{name}, {STARTS[start]}, {count} per class"
            networks[start, count] = trained(as_long, artifacts, role=role, where="expert", data=part, start=weights)
    return networks


def expert_findings(
    name: str,
    source: Trained,
    images: ImageData,
    networks: Mapping[tuple[Start, int], Trained],
    *,
    resamples: int,
    seed: int,
) -> ExpertFindings:
    """One expert on test images of its source, and on those of the target with all its trainings.

    Args:
        images: of the target, below the expert's node.
        networks: by (start, images per class).
        seed: of the bootstrap; another expert has other images, and another seed.
    """
    test, at_home = images.sets["test"], source.data.sets["test"]
    weights = bootstrap_weights(len(test), resamples=resamples, seed=seed)
    home_weights = bootstrap_weights(len(at_home), resamples=resamples, seed=seed)
    return ExpertFindings(
        name,
        1 / len(images.classes),
        len(test),
        _accuracy(source.subject, at_home.images, at_home.labels, home_weights),
        _accuracy(source.subject, test.images, test.labels, weights),
        {key: _accuracy(network.subject, test.images, test.labels, weights) for key, network in networks.items()},
    )


def target_findings(experts: Sequence[ExpertFindings], sizes: Sequence[int], seed: int) -> TargetFindings:
    """Means over all experts."""

    def over_experts(runs: Iterable[Resampled]) -> Estimate:
        return estimate(over_seeds(list(runs), seed=seed), n=len(experts), unit="experts")

    return TargetFindings(
        experts,
        sizes,
        over_experts(expert.source for expert in experts),
        over_experts(expert.zero_shot for expert in experts),
        {
            (start, count): over_experts(expert.few[start, count] for expert in experts)
            for start in (WARM, SCRATCH)
            for count in sizes
        },
        {count: over_experts(expert.gain(count) for expert in experts) for count in sizes},
        {count: over_experts(expert.over_zero_shot(count) for expert in experts) for count in sizes},
    )


def _batches(data: ImageData) -> int:
    return -(-len(data.sets["train"]) // data.batch_size)


def _accuracy(subject: Subject, images: Tensor, labels: Tensor, weights: Tensor) -> Resampled:
    hits = (batched(subject, images).argmax(1) == labels).float()
    return Resampled(hits.double().mean().item(), (weights @ hits).double() / len(hits))


@dataclass(frozen=True)
class TargetImages(Shown):
    """Images to move to; for each of their classes its label in the source, or -1."""

    data: ImageData
    labels: Tensor

    def below(self, tree: Tree, node: int) -> ImageData:
        """Those of a node of the source's tree, its children as classes."""
        place = tree.nodes[node]
        targets = [place.targets[label] if label >= 0 else -1 for label in self.labels.tolist()]
        return relabelled(self.data, targets, place.children)


def target_images(options: Transfer, source: ImageData, session: Session) -> TargetImages:
    """The images of ``target``, normalised as the source's, which is how the experts see them.

    Raises:
        UserError: they lack a class, or are of another shape, or images are whitened.
    """
    if source.whitener is not None:
        raise UserError(
            f"data.contrast={source.contrast}: whitening is fitted to one data set; take none or global for a transfer"
        )
    seen = {"normalisation": {"mean": list(source.mean), "std": list(source.std)}, "contrast": source.contrast}
    target = data_of(options.target | seen, "target", shuffle_seed=options.seed)
    with session.stage("target: images"):
        target.setup()
    for event in target.events:
        session.event(f"target: {event}")
    missing = [name for name in source.classes if name not in target.classes]
    if missing:
        raise UserError(f"target: has no class '{missing[0]}'; experts are moved to data with the same classes")
    if target.input_shape != source.input_shape:
        raise UserError(
            f"target: images of shape {target.input_shape}, the experts take {source.input_shape}; "
            "set target.source.size"
        )
    numbers = {name: number for number, name in enumerate(source.classes)}
    return TargetImages(target, torch.tensor([numbers.get(name, -1) for name in target.classes]))


def sizes_of(options: Transfer, target: TargetImages, session: Session) -> list[int]:
    """Training images per class, from few to many.

    Raises:
        UserError: there is none, or one below 1.
    """
    wanted = options.images_per_class
    most = int(target.data.sets["train"].per_class[target.labels >= 0].max())
    if max(wanted) > most:
        session.event(f"images_per_class={max(wanted)}: the target has {most} training images of a class at most")
    return sorted({min(count, most) for count in wanted})
