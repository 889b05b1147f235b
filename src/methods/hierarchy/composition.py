"""How the answers of independent modules become one distribution over all classes.

The rules of L. Friedrichsen, "Impact of modularization on learning behavior and detection rate of CNNs" (2020), hard
and soft gating and the pools that it only discusses, and two between hard and soft. Batched, in float64.

``soft``: the product of the modules' probabilities along the path to a class.
``hard``: every router's likeliest child is taken; the answer is that of the last module alone, over its children that
are classes (what it gives to inner nodes beside them is left out, and the rest fills its place).
``top_m``: soft, after every router has kept its m likeliest children and shared their probability out to 1.
``beam``: soft along the b likeliest inner nodes of every level alone, brought to 1 at the end; classes that end on the
way are kept.
``product``: the softmax over all classes of the logits summed along each path: a product of unnormalised experts.
``logarithmic``: prod_l p_l^w_l along the path, brought to 1; p_l is the probability that level l's module gives to the
right child, and 1 behind the end of a path (Genest and Zidek 1986).
``additive``: sum_l w_l q_l. q_l is what the levels up to l say: the soft composition cut off after level l, its
probability of each inner node shared evenly among the classes below.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from src.core.errors import UserError
from src.methods.hierarchy.nodes import Tree
from src.methods.hierarchy.walking import descend, per_crop, walk

RULES = ("soft", "hard", "top_m", "beam", "product", "additive", "logarithmic")
GATED = ("hard", "top_m", "beam")  # rules under which an image does not need every module


@dataclass(frozen=True)
class Composition:
    """A rule and its settings; chaining is fitted, see :func:`src.methods.hierarchy.chaining.fit_chain`.

    Attributes:
        rule: one of ``RULES``.
        m: children that a router keeps (top_m).
        beam: inner nodes that are kept of a level (beam).
        temperatures: per node, divides its logits; None: 1.
        weights: per level, sum to 1 (additive, logarithmic); None: all alike.
        route: per ``image``, from the mean probabilities of its crops, or per ``crop``: the mean of their answers.
    """

    rule: str = "soft"
    m: int = 2
    beam: int = 3
    temperatures: tuple[float, ...] | None = None
    weights: tuple[float, ...] | None = None
    route: Literal["image", "crop"] = "image"

    def __post_init__(self) -> None:
        for key in ("temperatures", "weights"):
            if getattr(self, key) is not None:
                object.__setattr__(self, key, tuple(float(value) for value in getattr(self, key)))

    def plain(self) -> dict[str, Any]:
        """As JSON; ``Composition(**plain)`` is the opposite."""
        return {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(self).items()}

    def check(self, tree: Tree) -> None:
        """UserError where temperatures or weights are not as many as the tree has nodes or levels."""
        for key, values, count, words in (
            ("temperatures", self.temperatures, len(tree.nodes), "nodes"),
            ("weights", self.weights, tree.depth, "levels"),
        ):
            if values is not None and len(values) != count:
                raise UserError(f"composition.{key}: {len(values)} for a tree of {count} {words}; give {count}")

    def tempered(self, node: int, logits: Tensor) -> Tensor:
        """A node's logits as float64, divided by its temperature."""
        return logits.double() / (1.0 if self.temperatures is None else self.temperatures[node])


def compose(tree: Tree, answers: Sequence[Tensor], composition: Composition) -> Tensor:
    """The composed answer.

    Args:
        answers: per node the logits (n, children), or (n, T, children) of T crops that are composed one by one.

    Returns:
        float64 (n, N) log-probabilities; -inf where a rule gives a class none.

    Raises:
        UserError: temperatures or weights do not fit the tree.
    """
    composition.check(tree)
    if answers[0].dim() == 3:
        return per_crop(lambda flat: compose(tree, flat, composition), answers)
    logits = [composition.tempered(node, answer) for node, answer in enumerate(answers)]
    if composition.rule == "product":
        return descend(tree, logits).log_softmax(1)
    steps = [values.log_softmax(1) for values in logits]
    if composition.rule == "logarithmic":
        weights = _weights(tree, composition)
        weighted = [weights[tree.level_of(node)] * step for node, step in enumerate(steps)]
        return descend(tree, weighted).log_softmax(1)
    if composition.rule == "additive":
        weights = _weights(tree, composition)
        levels = [descend(tree, _cut_off(tree, steps, level)) + math.log(w) for level, w in enumerate(weights) if w > 0]
        return torch.stack(levels).logsumexp(0)
    if composition.rule == "soft":
        return descend(tree, steps)
    return gate(tree, lambda node, rows: steps[node][rows], len(steps[0]), composition)


def gate(tree: Tree, ask: Callable[[int, Tensor], Tensor], images: int, composition: Composition) -> Tensor:
    """Compose by a rule of ``GATED``, asking each module for the images alone that reach it.

    Args:
        ask: for a node and image numbers (k,), the log-probabilities float64 (k, children).
        images: their number n.

    Returns:
        float64 (n, N) log-probabilities.
    """
    if composition.rule == "hard":
        return walk(tree, ask, images, choose=lambda node, step: _likeliest(tree, node, step))
    if composition.rule == "top_m":
        return walk(tree, ask, images, choose=lambda node, step: _top(tree, node, step, composition.m))
    logs = walk(tree, ask, images, beam=composition.beam)
    return logs - logs.logsumexp(1, keepdim=True)


def oracle(tree: Tree, answers: Sequence[Tensor], labels: Tensor) -> Tensor:
    """Every router is told the right child: the answer is that of the module above the true class, as with ``hard``.

    Args:
        answers: as for :func:`compose`. labels: int64 (n,).

    Returns:
        float64 (n, N) log-probabilities.
    """
    if answers[0].dim() == 3:
        crops = answers[0].shape[1]
        return per_crop(lambda flat: oracle(tree, flat, labels.repeat_interleave(crops)), answers)
    logs = answers[0].new_full((len(labels), len(tree.classes)), -torch.inf, dtype=torch.float64)
    places = tree.on(logs.device)
    labels = labels.to(logs.device)
    for answer, children, classes in zip(answers, places.leaf_children, places.leaf_labels, strict=True):
        if len(classes):
            below = torch.isin(labels, classes)[:, None]
            logs[:, classes] = torch.where(below, answer[:, children].double().log_softmax(1), -torch.inf)
    return logs


def _weights(tree: Tree, composition: Composition) -> tuple[float, ...]:
    return composition.weights or (1 / tree.depth,) * tree.depth


def _cut_off(tree: Tree, steps: Sequence[Tensor], level: int) -> list[Tensor]:
    """The steps of the levels behind ``level`` replaced by the share of classes below each child."""
    shares = tree.on(steps[0].device).class_shares
    return [
        step if tree.level_of(node) <= level else shares[node].log().expand_as(step) for node, step in enumerate(steps)
    ]


def _likeliest(tree: Tree, node: int, step: Tensor) -> Tensor:
    """All probability to the likeliest child (the first one) where it is an inner node, else to the classes."""
    inner = tree.on(step.device).child_nodes[node] >= 0
    child = step.argmax(1, keepdim=True)
    onward = torch.full_like(step, -torch.inf).scatter(1, child, 0.0)
    return torch.where(inner[child], onward, step.masked_fill(inner, -torch.inf).log_softmax(1))


def _top(tree: Tree, node: int, step: Tensor, m: int) -> Tensor:
    """The m likeliest children of a router alone, brought to 1."""
    if tree.is_expert(node):
        return step
    values, kept = step.topk(min(m, step.shape[1]), dim=1)
    return torch.full_like(step, -torch.inf).scatter(1, kept, values - values.logsumexp(1, keepdim=True))
