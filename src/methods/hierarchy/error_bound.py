"""The composed network's error, foretold from the errors that its modules make on their own images.

The thesis on modular networks (L. Friedrichsen 2020, ch. 4) writes the error of a gated network as P e + E p + E e, for
a router's error e and the experts' errors E, and never computes it. Here it is a number, for trees of any depth.

Hard gating: an image of class y is right where every decision on its way is. If they were independent, its chance would
be the product of the modules' recalls: of each, the share of its own images below a child that it gives to that child.

Soft gating: the L1 distance to the truth is at most ||e||_1 + sum_j p(j) ||e_j||_1, for a router's probabilities p(j)
and the error e_j of expert j. What a foreign expert should say is free, since the truth gives it no weight; chosen as
what it does say, only the right one's term is left: ||e||_1 + p(c) ||e_c||_1, and so on downwards. With the truth at
one class this is no more a bound: it is the distance itself, 2 (1 - p(true)). To foretell it, the modules' means over
their own images take the place of what they say of the image.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from src.methods.hierarchy.nodes import Tree
from src.methods.hierarchy.walking import averaged


class Forecast(NamedTuple):
    """A foretold error and the measured one."""

    predicted: float
    measured: float


def hard_recalls(tree: Tree, answers: Sequence[Tensor], labels: Tensor) -> list[Tensor]:
    """Per node float64 (children,): the share of the images below each child that the module gives to it.

    Args:
        answers: per node the logits (n, children) of all images, or (n, T, children) of crops, which are averaged.
        labels: int64 (n,).

    Returns:
        NaN for a child without images.
    """
    return _by_child(tree, _decisions(tree, answers, labels), labels)


def soft_recalls(tree: Tree, answers: Sequence[Tensor], labels: Tensor) -> list[Tensor]:
    """The same of the mean probability that the module gives to the right child."""
    return _by_child(tree, _probabilities(tree, answers, labels), labels)


def class_accuracies(tree: Tree, recalls: Sequence[Tensor]) -> Tensor:
    """float64 (N,): the product of the recalls on the way to each class."""
    return torch.stack(
        [
            torch.stack([recalls[node][child] for node, child in tree.path_of(label)]).prod()
            for label in range(len(tree.classes))
        ]
    )


def hard_prediction(tree: Tree, recalls: Sequence[Tensor], shares: Tensor) -> float:
    """The accuracy under hard gating that the modules' recalls foretell: sum_c P(c) r_c a_c for two levels.

    r_c is the router's recall of superclass c and a_c its expert's accuracy on all images of c, not on the correctly
    routed ones alone: what independent modules would reach.

    Args:
        recalls: from :func:`hard_recalls`, of any images.
        shares: (N,) of the classes; need not sum to 1.
    """
    weights = shares.double() / shares.sum()
    accuracies = class_accuracies(tree, recalls).to(weights.device)
    return float(torch.where(weights > 0, weights * accuracies, 0.0).sum())


def soft_bound(tree: Tree, answers: Sequence[Tensor], labels: Tensor) -> Tensor:
    """float64 (n,): ||e||_1 + p(c) (||e_c||_1 + ...) along the way to each image's class."""
    right = _probabilities(tree, answers, labels)  # (n, depth), 1 behind the end of a way
    bound = torch.zeros_like(right[:, 0])
    for level in reversed(range(tree.depth)):
        bound = 2 * (1 - right[:, level]) + right[:, level] * bound
    return bound


def soft_prediction(tree: Tree, recalls: Sequence[Tensor], shares: Tensor) -> float:
    """The mean L1 distance to the truth under soft gating that the modules' means foretell: the bound of the means.

    Args:
        recalls: from :func:`soft_recalls`, of any images. shares: as for :func:`hard_prediction`.
    """
    return 2 * (1 - hard_prediction(tree, recalls, shares))


def hard_forecast(
    tree: Tree, answers: Sequence[Tensor], labels: Tensor, recalls: Sequence[Tensor] | None = None
) -> Forecast:
    """The error under hard gating, foretold and measured.

    Args:
        recalls: of other images (validation); None: of these.
    """
    hits = _decisions(tree, answers, labels).prod(1)
    known = hard_recalls(tree, answers, labels) if recalls is None else recalls
    return Forecast(1 - hard_prediction(tree, known, _shares(tree, labels)), 1 - float(hits.mean()))


def soft_forecast(
    tree: Tree, answers: Sequence[Tensor], labels: Tensor, recalls: Sequence[Tensor] | None = None
) -> Forecast:
    """The mean L1 distance to the truth under soft gating, foretold and measured; arguments as for hard gating."""
    known = soft_recalls(tree, answers, labels) if recalls is None else recalls
    measured = soft_bound(tree, answers, labels).mean()
    return Forecast(soft_prediction(tree, known, _shares(tree, labels)), float(measured))


def _shares(tree: Tree, labels: Tensor) -> Tensor:
    return torch.bincount(labels, minlength=len(tree.classes)).double() / len(labels)


def _probabilities(tree: Tree, answers: Sequence[Tensor], labels: Tensor) -> Tensor:
    """float64 (n, depth): what the module of each level gives to the right child; 1 behind the end of a way."""
    return _on_the_way(tree, [answer.double().softmax(1) for answer in averaged(answers)], labels)


def _decisions(tree: Tree, answers: Sequence[Tensor], labels: Tensor) -> Tensor:
    """float64 (n, depth): 1 where the likeliest child is the right one, and behind the end of a way."""
    taken = []
    for answer in averaged(answers):
        chosen = torch.zeros_like(answer, dtype=torch.float64)
        taken.append(chosen.scatter(1, answer.argmax(1, keepdim=True), 1.0))
    return _on_the_way(tree, taken, labels)


def _on_the_way(tree: Tree, values: Sequence[Tensor], labels: Tensor) -> Tensor:
    right = torch.ones(len(labels), tree.depth, dtype=torch.float64, device=labels.device)
    for node, (of_node, targets) in enumerate(zip(values, tree.on(labels.device).targets, strict=True)):
        child, level = targets[labels], tree.level_of(node)
        of_child = of_node.gather(1, child.clamp(min=0)[:, None])[:, 0].double()
        right[:, level] = torch.where(child >= 0, of_child, right[:, level])
    return right


def _by_child(tree: Tree, right: Tensor, labels: Tensor) -> list[Tensor]:
    """Means of (n, depth) over the images below each child of each node."""
    means = []
    for node, targets in enumerate(tree.on(labels.device).targets):
        child = targets[labels]
        of_level = right[:, tree.level_of(node)]
        sums, counts = (
            right.new_zeros(len(tree.nodes[node].children)).index_add(
                0, child.clamp(min=0), values.where(child >= 0, 0)
            )
            for values in (of_level, torch.ones_like(of_level))
        )
        means.append(sums / counts)
    return means
