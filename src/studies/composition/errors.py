"""Where a modular network errs: router or expert, which superclass, and what its modules' own errors foretold."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from src.artifacts.composition import counts, superclass_counts
from src.core.estimate import Estimate
from src.core.shown import Shown
from src.methods.hierarchy.error_bound import Forecast, hard_forecast, hard_recalls, soft_forecast, soft_recalls
from src.methods.hierarchy.error_split import GapSplit, Reading, level_hits, shares_of_gap, split_gap
from src.methods.hierarchy.nodes import Tree
from src.studies.composition.accuracy import HARD, MONOLITH

#: Superclass accuracy, and accuracy within it, of the thesis's networks on CIFAR-100 (35.69% and 53.19% in all).
THESIS_MODULES, THESIS_MONOLITH = (0.6082, 0.3569 / 0.6082), (0.6512, 0.5319 / 0.6512)
READINGS: tuple[Reading, ...] = ("argmax", "summed")


@dataclass(frozen=True)
class ModuleAnswers(Shown):
    """What the modules say: per node the logits (n, children), or (n, T, children) of crops, of all images.

    Attributes:
        labels, held_out_labels: int64 (n,).
        held_out: of validation images, which no module was trained on, but by which its epoch was chosen.
    """

    test: Sequence[Tensor]
    labels: Tensor
    held_out: Sequence[Tensor]
    held_out_labels: Tensor


@dataclass(frozen=True)
class Gap:
    """A network's gap to the monolith, whose inner decisions are read in one of two ways."""

    network: str
    reading: Reading
    split: GapSplit


@dataclass(frozen=True)
class Heuristic:
    """The composed network's error, foretold from its modules' own errors on some images, and measured.

    Attributes:
        judged_on: the images that the modules' errors are of.
        hard: the error under hard gating.
        soft: the mean L1 distance to the truth under soft gating, from 0 to 2.
    """

    judged_on: Literal["validation", "test"]
    hard: Forecast
    soft: Forecast


@dataclass(frozen=True)
class Branch:
    """The test images of one child of the root, and one network.

    Attributes:
        recall_of_branch: the share of them that stays in the branch.
        accuracy: the share that is put into its class.
        within_branch: the second as a share of the first.
        answers: the share of all test images that is put into this branch.
    """

    superclass: str
    network: str
    recall_of_branch: float
    accuracy: float
    within_branch: float
    answers: float


@dataclass(frozen=True)
class Confusions(Shown):
    """How often images of a kind (rows) are taken for another (columns): int64 matrices."""

    superclasses: Tensor
    classes: Tensor


@dataclass(frozen=True)
class Errors:
    """Of a tree with more than one module.

    Attributes:
        hard_gap: how the gap of the hard route splits; None where there is no gap, so that shares of it mean nothing.
        confusions: by network.
    """

    tree: Tree
    gaps: tuple[Gap, ...]
    hard_gap: GapSplit | None
    heuristic: tuple[Heuristic, ...]
    branches: tuple[Branch, ...]
    confusions: Mapping[str, Confusions]


def errors_of(
    tree: Tree,
    modules: ModuleAnswers,
    answers: Mapping[str, Tensor],
    examined: Sequence[str],
    *,
    resamples: int,
    seed: int,
) -> Errors | None:
    """Of the ``examined`` networks; None where one module decides alone.

    Args:
        answers: log-probabilities (n, N) of the test images by network, the monolith's among them.
        resamples, seed: of the bootstrap over images.
    """
    if len(tree.nodes) == 1:
        return None
    labels = modules.labels
    gaps = tuple(
        Gap(
            name,
            reading,
            split_gap(
                level_hits(tree, answers[name], labels),
                level_hits(tree, answers[MONOLITH], labels, reading),
                resamples=resamples,
                seed=seed,
            ),
        )
        for name in examined
        if name != MONOLITH
        for reading in READINGS
    )
    hard = [gap.split for gap in gaps if (gap.network, gap.reading) == (HARD, "argmax") and gap.split.gap.low > 0]
    predictions = {name: answers[name].argmax(1) for name in examined}
    return Errors(
        tree,
        gaps,
        hard[0] if hard else None,
        heuristic_of(tree, modules),
        tuple(
            branch for name, predicted in predictions.items() for branch in branches_of(tree, name, predicted, labels)
        ),
        {
            name: Confusions(superclass_counts(tree, labels, predicted), counts(labels, predicted, len(tree.classes)))
            for name, predicted in predictions.items()
        },
    )


def thesis_shares() -> tuple[float, float]:
    """The router's and the experts' share of the thesis's gap."""
    router, experts = shares_of_gap(torch.tensor(THESIS_MODULES), torch.tensor(THESIS_MONOLITH)).tolist()
    return router, experts


def heuristic_of(tree: Tree, modules: ModuleAnswers) -> tuple[Heuristic, Heuristic]:
    """The thesis's error heuristic, which it never evaluated, from validation images and from the test images."""
    hard = hard_recalls(tree, modules.held_out, modules.held_out_labels)
    soft = soft_recalls(tree, modules.held_out, modules.held_out_labels)
    test, labels = modules.test, modules.labels
    return (
        Heuristic("validation", hard_forecast(tree, test, labels, hard), soft_forecast(tree, test, labels, soft)),
        Heuristic("test", hard_forecast(tree, test, labels), soft_forecast(tree, test, labels)),
    )


def branches_of(tree: Tree, network: str, predicted: Tensor, labels: Tensor) -> list[Branch]:
    """Per child of the root: how many of its images stay in the branch, and are right.

    Args:
        predicted, labels: int64 (n,).
    """
    branch, taken = tree.superclass_of[labels], tree.superclass_of[predicted]
    children = tree.nodes[0].children
    sizes = torch.bincount(branch, minlength=len(children)).clamp(min=1).double()
    stays, hits = (
        torch.bincount(branch[mask], minlength=len(children)).double()
        for mask in (taken == branch, predicted == labels)
    )
    return [
        Branch(
            superclass=child,
            network=network,
            recall_of_branch=float(stays[place] / sizes[place]),
            accuracy=float(hits[place] / sizes[place]),
            within_branch=float(hits[place] / stays[place].clamp(min=1)),
            answers=float((taken == place).double().mean()),
        )
        for place, child in enumerate(children)
    ]


def metrics_of(errors: Errors | None) -> dict[str, Estimate]:
    """The shares of the hard route's gap, where it has one."""
    if errors is None or errors.hard_gap is None:
        return {}
    return {"router_share": errors.hard_gap.router, "experts_share": errors.hard_gap.experts}
