"""Where a modular network errs: router or expert, which superclass, and what its modules' own errors foretold."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from src.artifacts.composition import counts, superclass_counts
from src.core.estimate import Estimate
from src.core.result import Figure, Result, table_of
from src.methods.hierarchy.error_bound import hard_forecast, hard_recalls, soft_forecast, soft_recalls
from src.methods.hierarchy.error_split import Reading, level_hits, shares_of_gap, split_gap
from src.methods.hierarchy.nodes import Tree
from src.studies.composition.accuracy import HARD, MONOLITH

SECTION = "Errors"
#: Superclass accuracy, and accuracy within it, of the thesis's networks on CIFAR-100 (35.69% and 53.19% in all).
THESIS = {"modules": (0.6082, 0.3569 / 0.6082), "monolith": (0.6512, 0.5319 / 0.6512)}
READINGS: tuple[tuple[Reading, str], ...] = (("argmax", "above its class"), ("summed", "summed probabilities"))


@dataclass(frozen=True)
class Heard:
    """What the modules say: per node the logits (n, children), or (n, T, children) of crops, of all images.

    ``held_out``: of validation images, which no module was trained on, but by which its epoch was chosen.
    """

    test: Sequence[Tensor]
    labels: Tensor
    held_out: Sequence[Tensor]
    held_out_labels: Tensor


def add_errors(
    result: Result,
    tree: Tree,
    heard: Heard,
    found: Mapping[str, Tensor],
    examined: Sequence[str],
    config: Mapping[str, Any],
) -> None:
    """The split of the gap, the heuristic, superclasses, and confusions of the ``examined`` networks.

    Args:
        found: log-probabilities (n, N) of the test images by network.
    """
    if len(tree.nodes) > 1:
        _add_split(result, tree, found, heard.labels, examined, config)
        _add_heuristic(result, tree, heard)
        _add_superclasses(result, tree, found, heard.labels, examined)
        _add_confusions(result, tree, found, heard.labels, examined)


def _add_split(
    result: Result,
    tree: Tree,
    found: Mapping[str, Tensor],
    labels: Tensor,
    examined: Sequence[str],
    config: Mapping[str, Any],
) -> None:
    """Router and experts in the gap to the monolith, which is read in two ways."""
    chance = {"resamples": config["resamples"], "seed": config["seed"]}
    rows = []
    for name in [name for name in examined if name != MONOLITH]:
        own = level_hits(tree, found[name], labels)
        for reading, words in READINGS:
            split = split_gap(own, level_hits(tree, found[MONOLITH], labels, reading), **chance)
            rows.append(
                {
                    "network": name,
                    "monolith_superclass": words,
                    **_bounds("log_gap", split.gap),
                    **_bounds("router_share", split.router),
                    **_bounds("experts_share", split.experts),
                    "superclass_accuracy": split.own[0].value,
                    "monolith_superclass_accuracy": split.benchmark[0].value,
                    "within_superclass": split.own[-1].value,
                    "monolith_within_superclass": split.benchmark[-1].value,
                }
            )
            if (name, reading) == (HARD, "argmax") and split.gap.low > 0:  # else shares of it mean nothing
                result.metrics |= {"router_share": split.router, "experts_share": split.experts}
    router, experts = shares_of_gap(*(torch.tensor(factors) for factors in THESIS.values())).tolist()
    rows.append(
        {
            "network": "thesis (2020), CIFAR-100, hard",
            "monolith_superclass": "above its class",
            **_bounds("log_gap", Estimate(math.log(0.5319 / 0.3569))),
            **_bounds("router_share", Estimate(router)),
            **_bounds("experts_share", Estimate(experts)),
            "superclass_accuracy": THESIS["modules"][0],
            "monolith_superclass_accuracy": THESIS["monolith"][0],
            "within_superclass": THESIS["modules"][1],
            "monolith_within_superclass": THESIS["monolith"][1],
        }
    )
    result.tables["gap"] = table_of(rows)
    result.captions["gap"] = (
        "Accuracy is that of the superclass times that within it, so that the logarithm of the ratio of two accuracies "
        "is a sum: the router's and the experts' shares of it, with 95% intervals over images. A share above 100 or "
        "below 0: the other part gains; where the gap is near 0 shares say nothing and their intervals are wide."
    )
    result.sections["gap"] = SECTION
    result.units |= dict.fromkeys(
        ("router_share", "experts_share", "monolith_superclass_accuracy", "monolith_within_superclass"), "%"
    ) | {"log_gap": "nats"}


def _add_heuristic(result: Result, tree: Tree, heard: Heard) -> None:
    """The thesis's error heuristic, which it never evaluated: foretold from the modules' errors, and measured."""
    answers, known, labels = heard.held_out, heard.held_out_labels, heard.labels
    rows = []
    for words, recalls in (
        ("validation images", (hard_recalls(tree, answers, known), soft_recalls(tree, answers, known))),
        ("the test images themselves", (None, None)),
    ):
        hard, soft = (
            hard_forecast(tree, heard.test, labels, recalls[0]),
            soft_forecast(tree, heard.test, labels, recalls[1]),
        )
        rows += [
            {"quantity": "error, hard", "modules_judged_on": words, "foretold": hard.predicted,
             "measured": hard.measured},
            {"quantity": "L1 distance / 2, soft", "modules_judged_on": words, "foretold": soft.predicted / 2,
             "measured": soft.measured / 2},
        ]  # fmt: skip
    result.tables["heuristic"] = table_of(rows)
    result.captions["heuristic"] = (
        "The composed network's error from its modules' own errors, on validation images (which chose each module's "
        "epoch, and so flatter it) and on the test images themselves. Hard: one minus the mean product of recalls "
        "along the way to each class, as if decisions were independent. Soft: half the L1 distance to the truth, from "
        "the mean probabilities of the right child. Foretold above measured: images that one module finds "
        "hard are hard for the next one too."
    )
    result.sections["heuristic"] = SECTION
    result.units |= dict.fromkeys(("foretold", "measured"), "%")


def _bounds(name: str, found: Estimate) -> dict[str, float]:
    return {name: found.value, f"{name}_low": found.low, f"{name}_high": found.high}


def _add_superclasses(
    result: Result, tree: Tree, found: Mapping[str, Tensor], labels: Tensor, examined: Sequence[str]
) -> None:
    """Per child of the root: how many of its images stay in the branch, and are right."""
    parent = tree.superclass_of
    own = parent[labels]
    size = torch.bincount(own, minlength=len(tree.nodes[0].children)).clamp(min=1).double()
    rows = []
    for name in examined:
        predicted = found[name].argmax(1)
        kept, right = parent[predicted] == own, predicted == labels
        stays, hits = (torch.bincount(own[mask], minlength=len(size)).double() for mask in (kept, right))
        rows += [
            {"superclass": child, "network": name, "recall_of_branch": float(stays[i] / size[i]),
             "accuracy": float(hits[i] / size[i]), "within_branch": float(hits[i] / stays[i].clamp(min=1)),
             "answers": float((parent[predicted] == i).double().mean())}
            for i, child in enumerate(tree.nodes[0].children)
        ]  # fmt: skip
    result.tables["superclasses"] = table_of(rows)
    result.captions["superclasses"] = (
        "Of the test images of a superclass: those put into its branch, those put into their class, and the second as "
        "a share of the first. Answers: share of all test images that are put into this branch."
    )
    result.sections["superclasses"] = SECTION
    result.units |= dict.fromkeys(("recall_of_branch", "within_branch", "answers"), "%")
    result.figures.append(
        Figure("bars", "superclasses", "Accuracy per superclass", x="superclass", y="accuracy", group="network",
               percent=True, section=SECTION)
    )  # fmt: skip


def _add_confusions(
    result: Result, tree: Tree, found: Mapping[str, Tensor], labels: Tensor, examined: Sequence[str]
) -> None:
    names = tree.nodes[0].children
    for name in examined:
        predicted = found[name].argmax(1)
        slug = "_".join(name.replace(",", "").split())
        branches = superclass_counts(tree, labels, predicted)
        classes = counts(labels, predicted, len(tree.classes))
        for kind, table, words in (("superclass", branches, names), ("class", classes, tree.classes)):
            key = f"{kind}_confusions_{slug}"
            shares = table.double() / table.sum(1, keepdim=True).clamp(min=1)
            result.tables[key] = {
                "true": [words[i] for i in range(len(words)) for _ in words],
                "predicted": list(words) * len(words),
                "share": shares.flatten().tolist(),
            }
            result.sections[key] = SECTION
            result.figures.append(
                Figure("heatmap", key, f"Which {kind} is taken for which: {name}", "Rows sum to 100.", x="predicted",
                       y="true", value="share", percent=True, section=SECTION)
            )  # fmt: skip
