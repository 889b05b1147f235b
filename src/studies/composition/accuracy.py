"""Every rule of composition against the monolith: accuracy, probabilities, agreement with the tree."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from src.core.estimate import Estimate
from src.core.result import Figure, Result, table_of
from src.methods.hierarchy.collapse import collapsed, shares
from src.methods.hierarchy.nodes import Tree
from src.methods.hierarchy.similarity import similarity
from src.statistics.bootstrap import Resampled, bootstrap_weights, estimate, paired_difference
from src.statistics.calibration import ece, micro_auc, per_image

SECTION = "Accuracy"
MONOLITH, HARD = "monolith", "modules, hard"


def add_accuracy(
    result: Result,
    answers: Mapping[str, Tensor],
    labels: Tensor,
    tree: Tree,
    config: Mapping[str, Any],
) -> None:
    """One row per network in ``answers`` (log-probabilities (n, N) by name, the monolith's among them)."""
    weights = bootstrap_weights(len(labels), resamples=config["resamples"], seed=config["seed"])
    parent = tree.superclass_of
    alike = similarity(tree)
    runs = {name: _run((found.argmax(1) == labels).float(), weights) for name, found in answers.items()}
    records = []
    for name, found in answers.items():
        predicted = found.argmax(1)
        own = estimate(runs[name], n=len(labels), unit="images")
        against = estimate(paired_difference(runs[name], runs[MONOLITH]), n=len(labels), unit="images")
        scores = per_image(found, labels)
        right_branch = parent[predicted] == parent[labels]
        hits = predicted == labels
        smallest, largest = shares(predicted, len(tree.classes))
        records.append(
            {
                "network": name,
                **_bounds("accuracy", own),
                **_bounds("against_monolith", against),
                "superclass_accuracy": _mean(right_branch),
                "within_superclass": float(hits.sum() / right_branch.sum().clamp(min=1)),
                "top5": _mean(scores["top5"]),
                "semantic_similarity": float(alike[labels, predicted].mean()),
                "nll_clipped": _mean(scores["nll_clipped"]),
                "infinite_nll": int(torch.isinf(scores["nll"]).sum()),
                "brier": _mean(scores["brier"]),
                "ece": ece(scores["confidence"], scores["correct"]),
                "auc": micro_auc(found.exp(), labels),
                "confidence": _mean(scores["confidence"]),
                "entropy": _mean(scores["entropy"]),
                "smallest_share": smallest,
                "largest_share": largest,
            }
        )
        if collapsed(predicted, len(tree.classes)):
            result.events.append(f"{name}: collapsed, one class takes {largest:.0%} of its answers")
    result.tables["networks"] = table_of(records)
    result.captions["networks"] = (
        "On test images, which nothing was trained or chosen on. Within superclass: of the images put into the right "
        "branch of the root. NLL clipped at a probability of 1e-7 (hard rules give some classes none: infinite NLL "
        "counts those images). Semantic similarity: shared part of the paths to the true and to the predicted class. "
        "ECE: 15 bins. AUC: micro. Shares: of the least and the most often predicted class."
    )
    result.sections["networks"] = SECTION
    result.units |= dict.fromkeys(
        ("accuracy", "superclass_accuracy", "within_superclass", "top5", "ece", "confidence", "smallest_share",
         "largest_share", "auc"), "%"
    ) | {"against_monolith": "points", "entropy": "nats", "nll_clipped": "nats"}  # fmt: skip
    result.figures.append(
        Figure("bars", "networks", "Accuracy", "With 95% intervals over test images.", x="network", y="accuracy",
               percent=True, section=SECTION)
    )  # fmt: skip


def accuracy_of(result: Result, name: str) -> Estimate:
    """A row's accuracy with its interval."""
    return _estimate(result, name, "accuracy")


def difference_of(result: Result, name: str) -> Estimate:
    """A row's difference to the monolith."""
    return _estimate(result, name, "against_monolith")


def _estimate(result: Result, name: str, column: str) -> Estimate:
    table = result.tables["networks"]
    row = table["network"].index(name)
    value, low, high = (table[f"{column}{end}"][row] for end in ("", "_low", "_high"))
    return Estimate(value, low, high, 0, "images")


def _run(hits: Tensor, weights: Tensor) -> Resampled:
    return Resampled(hits.mean().item(), (weights @ hits).double() / len(hits))


def _bounds(name: str, found: Estimate) -> dict[str, float]:
    return {name: found.value, f"{name}_low": found.low, f"{name}_high": found.high}


def _mean(values: Tensor) -> float:
    return float(values.double().mean())
