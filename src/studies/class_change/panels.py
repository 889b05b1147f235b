"""What a change of classes did: accuracy on the class and on all others, forgetting, cost, in tables and a sentence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from src.artifacts.changed_networks import Changed, answers_among, spent
from src.core.estimate import Estimate
from src.core.result import Figure, Result, table_of
from src.data.datamodule import ImageData
from src.statistics.bootstrap import Resampled, bootstrap_weights, estimate, paired_difference

CHANGE, FORGETTING, COST = "Change", "Forgetting", "Cost"
#: ``match`` of the configuration, in words
MATCHED = {
    "parameters": "to the modules' stored parameters",
    "macs": "to the modules' multiply-adds per image by the hard route, whatever rule composes them",
    "data": "by the images alone: it is as large as its recipe says",
}


@dataclass(frozen=True)
class Words:
    """What the sentences are about.

    Attributes:
        change: add, remove or replace.
        subject: what joined, left or was replaced.
        near, near_name: the classes of its superclass (labels), and its name.
        modules: the changed network of modules that the verdict is about.
        monoliths: the changed monoliths that it is compared with; where a class joins, the first was trained on the
            images below its superclass alone.
        retrained: the monolith trained again, whose cost is the measure.
    """

    change: str
    subject: str
    near: tuple[int, ...]
    near_name: str
    modules: str
    monoliths: tuple[str, ...]
    retrained: str


@dataclass
class _Measured:
    """All networks' answers to the test images, and the resamples of these."""

    answers: dict[str, Tensor]  # log-probabilities (n, N)
    labels: Tensor  # (n,)
    weights: Tensor  # (B, n)

    def accuracy(self, name: str, images: Tensor) -> Resampled:
        """Share of the ``images`` (bool (n,)) that are classified right."""
        hits = (self.answers[name].argmax(1) == self.labels) & images
        among, right = (self.weights @ torch.stack([images, hits], 1).float()).double().unbind(1)
        return Resampled(float(hits.sum() / images.sum()), right / among)


def add_change(
    result: Result,
    networks: Sequence[Changed],
    data: ImageData,
    changed: Tensor,
    words: Words,
    config: Mapping[str, Any],
) -> None:
    """Tables, figures, metrics and verdict.

    Args:
        networks: before and after the change.
        data: its test images, over all classes.
        changed: bool (N,), the classes that the change is about.
    """
    test = data.sets["test"]
    weights = bootstrap_weights(len(test), resamples=config["resamples"], seed=config["seed"])
    found = {network.name: answers_among(network.subject, test.images, data.classes) for network in networks}
    measured = _Measured(found, test.labels, weights)
    _add_networks(result, networks, measured, changed, words, MATCHED[config["match"]])
    _add_forgetting(result, networks, measured, changed, words)
    _add_cost(result, networks)
    _conclude(result, networks, measured, changed, words)


def _add_networks(
    result: Result, networks: Sequence[Changed], measured: _Measured, changed: Tensor, words: Words, matched: str
) -> None:
    about = changed[measured.labels]
    groups = {"accuracy": ~about if words.change == "remove" else torch.ones_like(about), "other_accuracy": ~about}
    if words.change != "remove":
        groups["changed_recall"] = about
    result.tables["networks"] = table_of(
        [
            {"network": network.name}
            | {
                name: value
                for column, images in groups.items()
                for name, value in _bounds(column, _estimated(measured.accuracy(network.name, images), images)).items()
            }
            for network in networks
        ]
    )
    after = {
        "add": "Changed recall: of the images of the new class; networks from before cannot tell it",
        "remove": "Accuracy is that on the classes that stay",
        "replace": f"Changed recall: of the images of '{words.near_name}', the replaced expert's classes",
    }[words.change]
    result.captions["networks"] = (
        f"On test images, which nothing was trained or chosen on. {after}. Other accuracy: on the classes that the "
        "change is not about. Warm-started: from the weights of before, by the recipe with the changes of update; "
        "anew: from random weights. All modules that are not named are those of before; the monolith's size is matched "
        f"once, over all classes, {matched}. One training each: intervals are over images, not over seeds."
    )
    result.sections["networks"] = CHANGE
    result.units |= dict.fromkeys(("accuracy", "other_accuracy", "changed_recall"), "%")
    for column, title in (("accuracy", "Accuracy after the change"), ("changed_recall", f"Recall: {words.subject}")):
        if column in result.tables["networks"]:
            result.figures.append(
                Figure("bars", "networks", title, "With 95% intervals over test images.", x="network", y=column,
                       percent=True, section=CHANGE)
            )  # fmt: skip


def _add_forgetting(
    result: Result, networks: Sequence[Changed], measured: _Measured, changed: Tensor, words: Words
) -> None:
    records = []
    for network in networks:
        if network.name == network.before:
            continue
        for group, classes in _groups(changed, words).items():
            images = classes[measured.labels]
            lost = _lost(measured, network, images)
            old, new = measured.answers[network.before], measured.answers[network.name]
            records.append(
                {
                    "network": network.name,
                    "classes": group,
                    "before": measured.accuracy(network.before, images).value,
                    "after": measured.accuracy(network.name, images).value,
                    **_bounds("forgetting", lost),
                    "changed_answers": float((old.argmax(1) != new.argmax(1))[images].double().mean()),
                    "largest_change": float((old.exp() - new.exp())[:, classes].abs().max()),
                }
            )
    result.tables["forgetting"] = table_of(records)
    result.captions["forgetting"] = (
        "Accuracy on test images of classes that the change is not about, before and after it. Forgetting: before "
        "minus after, in pairs over images; below zero the network has become better. Changed answers: share of these "
        "images that are put into another class than before. Largest change: of the probability of any of these "
        "classes for any test image; 0 means equal to the last bit."
    )
    result.sections["forgetting"] = FORGETTING
    result.units |= {"before": "%", "after": "%", "forgetting": "points", "changed_answers": "%"}
    result.figures.append(
        Figure("bars", "forgetting", "Forgetting", "Before minus after, with 95% intervals over test images.",
               x="network", y="forgetting", group="classes", section=FORGETTING)
    )  # fmt: skip


def _groups(changed: Tensor, words: Words) -> dict[str, Tensor]:
    """Which of the other classes: all, of the same superclass, of others; those that are not empty and not the same."""
    near = torch.zeros_like(changed)
    near[list(words.near)] = True
    found = {"all others": ~changed}
    siblings, elsewhere = near & ~changed, ~near & ~changed
    if siblings.any() and elsewhere.any():
        found |= {f"others of {words.near_name}": siblings, "of other superclasses": elsewhere}
    return found


def _lost(measured: _Measured, network: Changed, images: Tensor) -> Estimate:
    before, after = (measured.accuracy(name, images) for name in (network.before, network.name))
    return _estimated(paired_difference(before, after), images)


def _add_cost(result: Result, networks: Sequence[Changed]) -> None:
    table = result.tables["networks"]
    records = []
    for network in networks:
        if network.name == network.before:
            continue
        found, row = spent(network.updates), table["network"].index(network.name)
        stored = sum(parameter.numel() for parameter in network.subject.model.parameters())
        records.append(
            {
                "network": network.name,
                "trained": len(network.updates),
                "images": found.images,
                "steps": found.steps,
                "update_macs": found.macs / 1e9,
                "all_macs": _all_macs(network) / 1e9,
                "update_seconds": found.seconds,
                "touched": found.parameters / stored,
                "stored_parameters": stored,
                "accuracy": table["accuracy"][row],
            }
        )
    result.tables["cost"] = table_of(records)
    result.captions["cost"] = (
        "Of the change alone, but for all multiply-adds: with the trainings before it, of the parts that were kept and "
        "of those that a warm start began from. Trained: how many networks. Images: training images seen, repeats "
        "counted. Multiply-adds: three times those of a forward pass for every image seen. Seconds: wall time of the "
        "epochs beside whatever else ran. Touched: share of the stored parameters that were trained."
    )
    result.sections["cost"] = COST
    result.units |= {"update_macs": "G", "all_macs": "G", "update_seconds": "s", "touched": "%"}
    result.figures.append(
        Figure("points", "cost", "Accuracy against the cost of the change", "Multiply-adds in 10^9.", x="update_macs",
               y="accuracy", group="network", percent=True, section=COST)
    )  # fmt: skip


def _conclude(result: Result, networks: Sequence[Changed], measured: _Measured, changed: Tensor, words: Words) -> None:
    by_name, others = {network.name: network for network in networks}, ~changed[measured.labels]
    whole = spent(by_name[words.retrained].updates)
    result.metrics["retrained_accuracy"] = _row(result, words.retrained)
    result.units["retrained_accuracy"] = "%"
    said = []
    keys = ("", "monolith_", "all_images_monolith_")
    for key, name in zip(keys, (words.modules, *words.monoliths), strict=False):
        found = {
            f"{key}accuracy": _row(result, name),
            f"{key}forgetting": _lost(measured, by_name[name], others),
            f"{key}update_macs_ratio": Estimate(spent(by_name[name].updates).macs / whole.macs),
            f"{key}all_macs_ratio": Estimate(_all_macs(by_name[name]) / whole.macs),
        }
        right = f"{found[f'{key}accuracy'].value:.1%} right"
        if words.change == "add":
            found[f"{key}recall"] = _row(result, name, "changed_recall")
            right += f" ({found[f'{key}recall'].value:.1%} of the new class)"
        result.metrics |= found
        result.units |= {metric: "points" if metric.endswith("forgetting") else "%" for metric in found}
        lost = found[f"{key}forgetting"]
        cost = _cost_in_words(found[f"{key}update_macs_ratio"].value, found[f"{key}all_macs_ratio"].value)
        said.append(f"{name}: {right}, {_points(lost)} lost on the others, {cost}")
    own = by_name[words.modules]
    if words.change == "replace":
        before, after = (measured.answers[name].exp()[:, ~changed] for name in (own.before, own.name))
        largest = float((before - after).abs().max())
        same = "are equal to the last bit" if largest == 0 else f"have changed by up to {largest:.2g}"
        said.insert(0, f"the probabilities of all other classes {same}")
    doing = {"add": "joined", "remove": "left", "replace": "was replaced"}[words.change]
    if words.retrained not in words.monoliths:
        said.append(f"{words.retrained}: {result.metrics['retrained_accuracy'].value:.1%} right")
    result.verdict = f"{words.subject} {doing}: {'; '.join(said)}"


def _all_macs(network: Changed) -> int:
    """Multiply-adds of the change and of all trainings that it builds on."""
    return spent((*network.updates, *network.origins)).macs


def _cost_in_words(change: float, whole: float) -> str:
    if not change:
        return "without training"
    before = f" ({whole:.1%} with the trainings that it builds on)" if whole > change else ""
    return f"at {change:.1%} of the cost of a new monolith{before}"


def _row(result: Result, name: str, column: str = "accuracy") -> Estimate:
    table = result.tables["networks"]
    row = table["network"].index(name)
    value, low, high = (table[f"{column}{end}"][row] for end in ("", "_low", "_high"))
    return Estimate(value, low, high, 0, "images")


def _points(found: Estimate) -> str:
    return f"{100 * found.value:.1f} points [{100 * found.low:.1f}, {100 * found.high:.1f}]"


def _estimated(run: Resampled, images: Tensor) -> Estimate:
    return estimate(run, n=int(images.sum()), unit="images")


def _bounds(name: str, found: Estimate) -> dict[str, float]:
    return {name: found.value, f"{name}_low": found.low, f"{name}_high": found.high}
