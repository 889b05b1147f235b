"""From the root of a label tree to its classes, for a batch of images, and in words; answers to several crops."""

import math
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from src.methods.hierarchy.nodes import Tree


def per_crop(of: Callable[[list[Tensor]], Tensor], answers: Sequence[Tensor]) -> Tensor:
    """The mean probabilities (n, N), as logarithms, of what ``of`` makes of every crop's answers (n * T, children)."""
    images, crops = answers[0].shape[:2]
    logs = of([answer.flatten(0, 1) for answer in answers])
    return logs.view(images, crops, -1).logsumexp(1) - math.log(crops)


def averaged(answers: Sequence[Tensor]) -> list[Tensor]:
    """Per node the logarithm of the mean probabilities over crops, (n, children); answers without crops as they are."""
    if answers[0].dim() == 2:
        return list(answers)
    return [answer.double().log_softmax(2).logsumexp(1) - math.log(answer.shape[1]) for answer in answers]


def descend(tree: Tree, steps: Sequence[Tensor]) -> Tensor:
    """The sum of ``steps`` along the path to each class; differentiable.

    Args:
        steps: per node (n, children).

    Returns:
        (n, N).
    """
    places = tree.on(steps[0].device)
    reached = {0: steps[0].new_zeros(len(steps[0]), 1)}
    columns: list[Tensor] = []
    for node, step in enumerate(steps):
        total = reached.pop(node) + step
        for child, below in enumerate(tree.child_nodes(node)):
            if below >= 0:
                reached[below] = total[:, child : child + 1]
        columns.append(total[:, places.leaf_children[node]])
    return torch.cat(columns, dim=1)[:, places.order]


def walk(
    tree: Tree,
    ask: Callable[[int, Tensor], Tensor],
    images: int,
    *,
    choose: Callable[[int, Tensor], Tensor] | None = None,
    beam: int | None = None,
) -> Tensor:
    """Like :func:`descend` along the paths alone that are still possible; a module is asked only for their images.

    Args:
        ask: for a node and image numbers (k,), the log-probabilities float64 (k, children).
        images: their number n.
        choose: makes of a node's log-probabilities (k, children) those that it goes on with, -inf where it does not.
            None: all.
        beam: inner nodes that an image keeps of each level; None: all.

    Returns:
        float64 (n, N) log-probabilities; they sum to 1 unless ``beam`` drops some.
    """
    root = ask(0, torch.arange(images))
    places = tree.on(root.device)
    logs = root.new_full((images, len(tree.classes)), -torch.inf)
    reached = root.new_full((images, len(tree.nodes)), -torch.inf)
    reached[:, 0] = 0.0
    for level in range(tree.depth):
        nodes = tree.nodes_of_level(level)
        of_level = reached[:, nodes.start : nodes.stop]
        if beam is not None and beam < len(nodes):
            kept = torch.zeros_like(of_level, dtype=torch.bool).scatter(1, of_level.topk(beam, dim=1).indices, True)
            of_level.masked_fill_(~kept, -torch.inf)
        for node, rows in zip(nodes, _rows(of_level), strict=True):
            if len(rows):
                step = root if node == 0 else ask(node, rows)
                total = reached[rows, node][:, None] + (step if choose is None else choose(node, step))
                for child, below in enumerate(tree.child_nodes(node)):
                    if below >= 0:
                        reached[rows, below] = total[:, child]
                logs[rows[:, None], places.leaf_labels[node]] = total[:, places.leaf_children[node]]
    return logs


def _rows(reached: Tensor) -> Iterator[Tensor]:
    """The images that reach each of a level's nodes, from (n, nodes); how many is read back once for all nodes."""
    here = reached.isfinite()
    first = here.to(torch.uint8).argsort(dim=0, descending=True, stable=True)
    for node, count in enumerate(here.sum(0).tolist()):
        yield first[:count, node]


class Greedy(NamedTuple):
    """The likeliest child of every module on the way, for n images; all (n, depth).

    Behind the end of a way numbers are -1 and probabilities NaN.
    """

    nodes: Tensor
    children: Tensor
    probabilities: Tensor
    runners_up: Tensor
    runner_up_probabilities: Tensor


class Step(NamedTuple):
    """A decision: the module, the child that it took with its probability, and the second likeliest."""

    node: str
    child: str
    probability: float
    runner_up: str
    runner_up_probability: float


def greedy(tree: Tree, answers: Sequence[Tensor]) -> Greedy:
    """The greedy ways of n images.

    Args:
        answers: per node the logits (n, children), or (n, T, children) of crops, which are averaged.
    """
    steps = [answer.double().softmax(1) for answer in averaged(answers)]
    count, device = len(steps[0]), steps[0].device
    nodes, children, second = (torch.full((count, tree.depth), -1, device=device) for _ in range(3))
    first_p, second_p = (
        torch.full((count, tree.depth), torch.nan, dtype=torch.float64, device=device) for _ in range(2)
    )
    places = tree.on(device)
    here = torch.zeros(count, dtype=torch.long, device=device)
    for level in range(tree.depth):
        nodes[:, level] = here
        following = torch.full_like(here, -1)
        for node in tree.nodes_of_level(level):
            on_way = here == node
            values, best = steps[node].topk(2, dim=1)
            decision = (best[:, 0], values[:, 0], best[:, 1], values[:, 1])
            for column, value in zip((children, first_p, second, second_p), decision, strict=True):
                column[:, level] = torch.where(on_way, value, column[:, level])
            following = torch.where(on_way, places.child_nodes[node][best[:, 0]], following)
        here = following
    return Greedy(nodes, children, first_p, second, second_p)


def route(tree: Tree, answers: Sequence[Tensor]) -> list[list[Step]]:
    """The same in words, for each of a few images."""
    ways = []
    for decisions in zip(*(values.tolist() for values in greedy(tree, answers)), strict=True):
        way = []
        for node, child, probability, second, second_probability in zip(*decisions, strict=True):
            if node >= 0:
                names = tree.nodes[node]
                way.append(
                    Step(names.name, names.children[child], probability, names.children[second], second_probability)
                )
        ways.append(way)
    return ways
