"""The way that an image takes through a label tree, to be read by people."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from src.methods.hierarchy.nodes import Tree
from src.methods.hierarchy.walking import averaged


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
