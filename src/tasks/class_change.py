"""What a change of classes did: accuracy on the class and on all others, forgetting, cost, in tables and a sentence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from src.data.datamodule import ImageData
from src.result import Figure, Result, table_of
from src.statistics import Estimate, Resampled, bootstrap_weights, estimate, paired_difference
from src.tasks.changed_networks import Changed, answers_among, spent

CHANGE, FORGETTING, COST = "Change", "Forgetting", "Cost"


@dataclass(frozen=True)
class Words:
    """What the sentences are about.

    Attributes:
        change: add, remove or replace.
        subject: what joined, left or was replaced.
        near, near_name: the classes of its superclass (labels), and its name.
        modules, monolith: the changed networks that the verdict compares.
        retrained: the monolith trained again, whose cost is the measure.
    """

    change: str
    subject: str
    near: tuple[int, ...]
    near_name: str
    modules: str
    monolith: str
    retrained: str


@dataclass
class _Measured:
    """All networks' answers to the test images, and the resamples of these."""

    answers: dict[str, Tensor]  # log-probabilities (n, N)
    labels: Tensor  # (n,)
    weights: Tensor  # (B, n)

    def accuracy(self, name: str, images: Tensor) -> Resampled:
        """Share of the ``images`` (bool (n,)) that are classified right."""
        hits = (self.answers[name].argmax(1) == self.labels).float()[images]
        own = self.weights[:, images]
        return Resampled(hits.double().mean().item(), (own @ hits).double() / own.sum(1).double())


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
    _add_networks(result, networks, measured, changed, words)
    _add_forgetting(result, networks, measured, changed, words)
    _add_cost(result, networks)
    _conclude(result, networks, measured, changed, words)


def _add_networks(
    result: Result, networks: Sequence[Changed], measured: _Measured, changed: Tensor, words: Words
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
        "once, over all classes. One training each: intervals are over images, not over seeds."
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
                "update_seconds": found.seconds,
                "touched": found.parameters / stored,
                "stored_parameters": stored,
                "accuracy": table["accuracy"][row],
            }
        )
    result.tables["cost"] = table_of(records)
    result.captions["cost"] = (
        "Of the change alone. Trained: how many networks. Images: training images seen, repeats counted. "
        "Multiply-adds: three times those of a forward pass for every image seen. Seconds: wall time of the epochs "
        "beside whatever else ran. Touched: share of the stored parameters that were trained."
    )
    result.sections["cost"] = COST
    result.units |= {"update_macs": "G", "update_seconds": "s", "touched": "%"}
    result.figures.append(
        Figure("points", "cost", "Accuracy against the cost of the change", "Multiply-adds in 10^9.", x="update_macs",
               y="accuracy", group="network", percent=True, section=COST)
    )  # fmt: skip


def _conclude(result: Result, networks: Sequence[Changed], measured: _Measured, changed: Tensor, words: Words) -> None:
    by_name, others = {network.name: network for network in networks}, ~changed[measured.labels]
    own, rival = by_name[words.modules], by_name[words.monolith]
    lost = {name: _lost(measured, network, others) for name, network in (("modules", own), ("monolith", rival))}
    accuracies = {name: _row(result, name) for name in (words.modules, words.monolith, words.retrained)}
    whole, part = spent(by_name[words.retrained].updates), spent(own.updates)
    ratio = Estimate(part.macs / whole.macs)
    result.metrics = {
        "changed_accuracy": accuracies[words.modules],
        "monolith_accuracy": accuracies[words.monolith],
        "retrained_accuracy": accuracies[words.retrained],
        "forgetting": lost["modules"],
        "monolith_forgetting": lost["monolith"],
        "update_macs_ratio": ratio,
    }
    result.units |= dict.fromkeys(("changed_accuracy", "monolith_accuracy", "retrained_accuracy"), "%")
    result.units |= {"forgetting": "points", "monolith_forgetting": "points", "update_macs_ratio": "%"}
    if words.change == "replace":
        before, after = (measured.answers[name].exp()[:, ~changed] for name in (own.before, own.name))
        largest = float((before - after).abs().max())
        same = "are equal to the last bit" if largest == 0 else f"have changed by up to {largest:.2g}"
        result.verdict = (
            f"{words.subject} replaced: the probabilities of all other classes {same}, and their accuracy changes by "
            f"{_points(lost['modules'], -1)}; another monolith changes it by {_points(lost['monolith'], -1)}"
        )
        return
    recalls = _recalls(result, words)
    costs = "no training" if not part.macs else f"{ratio.value:.1%} of the multiply-adds of a new monolith"
    result.verdict = (
        f"{words.subject} {'joined' if words.change == 'add' else 'left'}: {words.modules} ({costs}): "
        f"{accuracies[words.modules].value:.1%} of the test images right{recalls[0]}, the others lose "
        f"{_points(lost['modules'])}; {words.monolith}: {accuracies[words.monolith].value:.1%}{recalls[1]}, they lose "
        f"{_points(lost['monolith'])}; {words.retrained}: {accuracies[words.retrained].value:.1%}{recalls[2]}"
    )


def _recalls(result: Result, words: Words) -> list[str]:
    """Of the class itself, where it joined: in a metric each, and in words for the verdict."""
    if words.change != "add":
        return ["", "", ""]
    names = {"recall": words.modules, "monolith_recall": words.monolith, "retrained_recall": words.retrained}
    found = {key: _row(result, name, "changed_recall") for key, name in names.items()}
    result.metrics |= found
    result.units |= dict.fromkeys(names, "%")
    return [f" ({recall.value:.1%} of the new class)" for recall in found.values()]


def _row(result: Result, name: str, column: str = "accuracy") -> Estimate:
    table = result.tables["networks"]
    row = table["network"].index(name)
    value, low, high = (table[f"{column}{end}"][row] for end in ("", "_low", "_high"))
    return Estimate(value, low, high, 0, "images")


def _points(found: Estimate, sign: int = 1) -> str:
    low, high = sorted((sign * found.low, sign * found.high))
    value = sign * found.value
    return f"{100 * value + 0.0:+.1f} points [{100 * low + 0.0:+.1f}, {100 * high + 0.0:+.1f}]"


def _estimated(run: Resampled, images: Tensor) -> Estimate:
    return estimate(run, n=int(images.sum()), unit="images")


def _bounds(name: str, found: Estimate) -> dict[str, float]:
    return {name: found.value, f"{name}_low": found.low, f"{name}_high": found.high}
