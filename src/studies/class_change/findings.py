"""What a change of classes did: accuracy on the class and on all others, forgetting, and its cost."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from src.artifacts.changed_networks import Changed, Spent, answers_among, spent
from src.artifacts.options import Match
from src.core.estimate import Estimate
from src.core.shown import Shown
from src.statistics.bootstrap import Resampled, bootstrap_weights, estimate, paired_difference
from src.studies.class_change.changes import ChangedNetworks, Role
from src.studies.class_change.options import Change
from src.studies.class_change.setting import Setting

#: Classes that the change is not about: all, those below the changed expert, and those below other nodes.
Group = Literal["others", "siblings", "elsewhere"]


@dataclass(frozen=True)
class Forgetting:
    """What became of the answers to test images of a group of classes.

    Attributes:
        before, after: accuracies.
        lost: before minus after, in pairs over images.
        changed_answers: share of the images that are put into another class than before.
        largest_change: of the probability of any class of the group, for any test image.
    """

    before: float
    after: float
    lost: Estimate
    changed_answers: float
    largest_change: float


@dataclass(frozen=True)
class ChangeCost:
    """What a change cost.

    Attributes:
        trainings: how many networks it trained.
        update: what these cost.
        all_macs: multiply-adds of the change and of all trainings that it builds on.
        stored_parameters: of the changed network.
    """

    trainings: int
    update: Spent
    all_macs: int
    stored_parameters: int


@dataclass(frozen=True)
class NetworkFindings(Shown):
    """A network before or after the change, on test images.

    Attributes:
        accuracy: on all classes that are there after the change.
        other_accuracy: on the classes that the change is not about.
        changed_recall: on those that it is about; None where they have left.
        forgetting: by groups that are not empty and not the same; nothing before the change.
        cost: None before the change.
    """

    name: str
    accuracy: Estimate
    other_accuracy: Estimate
    changed_recall: Estimate | None
    forgetting: Mapping[Group, Forgetting]
    cost: ChangeCost | None


@dataclass(frozen=True)
class ClassChangeFindings(Shown):
    """A change of classes.

    Attributes:
        class_name: what joined or left.
        expert: name of the node above it, or of the one that was replaced.
        match: how the monolith's size was chosen.
        roles: the networks that the verdict speaks of.
    """

    change: Change
    class_name: str
    expert: str
    match: Match
    networks: Sequence[NetworkFindings]
    roles: Mapping[Role, NetworkFindings]

    def cost(self, role: Role) -> ChangeCost:
        """Of a changed network."""
        cost = self.roles[role].cost
        assert cost is not None, f"{role} was not changed"
        return cost

    def macs_ratio(self, role: Role) -> float:
        """Multiply-adds of the change, as a share of those of a new monolith."""
        return self.cost(role).update.macs / self.cost("retrained").update.macs

    def all_macs_ratio(self, role: Role) -> float:
        """The same with all trainings that the change builds on."""
        return self.cost(role).all_macs / self.cost("retrained").update.macs


def class_change_findings(
    changed: ChangedNetworks, setting: Setting, *, resamples: int, seed: int
) -> ClassChangeFindings:
    """Measure all networks on the test images, over all classes."""
    test, classes = setting.data.sets["test"], setting.data.classes
    weights = bootstrap_weights(len(test), resamples=resamples, seed=seed)
    answers = {id(network): answers_among(network.subject, test.images, classes) for network in changed.networks}
    about, groups = setting.changed, groups_of(setting.changed, setting.near)
    findings = {}
    for network in changed.networks:
        logs = answers[id(network)]
        forgetting: dict[Group, Forgetting] = {}
        if network.before is not None:
            old = answers[id(network.before)]
            forgetting = {name: forgotten(old, logs, test.labels, group, weights) for name, group in groups.items()}
        stays = ~about if setting.options.change == "remove" else torch.ones_like(about)
        findings[id(network)] = NetworkFindings(
            network.name,
            accuracy_on(logs, test.labels, stays, weights),
            accuracy_on(logs, test.labels, ~about, weights),
            None if setting.options.change == "remove" else accuracy_on(logs, test.labels, about, weights),
            forgetting,
            None if network.before is None else _cost(network),
        )
    return ClassChangeFindings(
        setting.options.change,
        str(setting.options.class_name),
        setting.expert,
        setting.options.matched,
        list(findings.values()),
        {role: findings[id(network)] for role, network in changed.roles.items()},
    )


def groups_of(changed: Tensor, near: Tensor) -> dict[Group, Tensor]:
    """Bool (N,) each: the groups of other classes that are not empty and not the same.

    Args:
        changed: bool (N,), the classes that the change is about.
        near: bool (N,), the classes below the changed expert.
    """
    siblings, elsewhere = near & ~changed, ~near & ~changed
    groups: dict[Group, Tensor] = {"others": ~changed}
    return groups | {"siblings": siblings, "elsewhere": elsewhere} if siblings.any() and elsewhere.any() else groups


def accuracy_on(answers: Tensor, labels: Tensor, classes: Tensor, weights: Tensor) -> Estimate:
    """Share of the images of some classes that are classified right.

    Args:
        answers: log-probabilities (n, N).
        labels: (n,).
        classes: bool (N,).
        weights: (B, n) how often each image occurs in each resample.
    """
    images = classes[labels]
    return estimate(_resampled(answers, labels, images, weights), n=int(images.sum()), unit="images")


def forgotten(before: Tensor, after: Tensor, labels: Tensor, classes: Tensor, weights: Tensor) -> Forgetting:
    """What a change did to the answers ``before``, log-probabilities (n, N); otherwise as :func:`accuracy_on`."""
    images = classes[labels]
    old, new = (_resampled(answers, labels, images, weights) for answers in (before, after))
    return Forgetting(
        old.value,
        new.value,
        estimate(paired_difference(old, new), n=int(images.sum()), unit="images"),
        float((before.argmax(1) != after.argmax(1))[images].double().mean()),
        float((before.exp() - after.exp())[:, classes].abs().max()),
    )


def _resampled(answers: Tensor, labels: Tensor, images: Tensor, weights: Tensor) -> Resampled:
    """Share of the ``images`` (bool (n,)) that are classified right."""
    hits = (answers.argmax(1) == labels) & images
    among, right = (weights @ torch.stack([images, hits], 1).float()).double().unbind(1)
    return Resampled(float(hits.sum() / images.sum()), right / among)


def _cost(network: Changed) -> ChangeCost:
    return ChangeCost(
        len(network.updates),
        spent(network.updates),
        spent((*network.updates, *network.origins)).macs,
        sum(parameter.numel() for parameter in network.subject.model.parameters()),
    )
