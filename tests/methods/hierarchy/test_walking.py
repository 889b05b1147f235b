"""The way of an image, followed by hand."""

from __future__ import annotations

import pytest
import torch

from src.methods.hierarchy.composition import Composition, compose
from src.methods.hierarchy.nodes import Tree
from src.methods.hierarchy.walking import Step, greedy, route
from tests.methods.hierarchy.trees import THREE, TREES, answers_of


def test_ways_in_words():
    answers = [
        torch.tensor([[0.2, 0.7, 0.1], [0.3, 0.2, 0.5]]).log(),
        torch.tensor([[0.5, 0.5], [0.5, 0.5]]).log(),
        torch.tensor([[0.1, 0.9], [0.5, 0.5]]).log(),
        torch.tensor([[0.3, 0.3, 0.4], [0.2, 0.2, 0.6]]).log(),
        torch.tensor([[0.75, 0.25], [0.5, 0.5]]).log(),
    ]
    first, second = route(THREE, answers)
    assert [(step.node, step.child, step.runner_up) for step in first] == [
        ("root", "vehicles", "animals"),
        ("vehicles", "air", "road"),
        ("air", "plane", "glider"),
    ]
    assert [step.probability for step in first] == pytest.approx([0.7, 0.9, 0.75])
    assert [step.runner_up_probability for step in first] == pytest.approx([0.2, 0.1, 0.25])
    assert len(second) == 1 and isinstance(second[0], Step) and second[0].child == "tree"


@pytest.mark.parametrize("tree", TREES.values(), ids=TREES)
def test_a_way_ends_at_the_class_of_hard_gating(tree: Tree):
    answers = answers_of(tree, 100)
    predicted = compose(tree, answers, Composition("hard")).argmax(1)
    found = greedy(tree, answers)
    assert torch.equal(found.nodes, tree.path_nodes[predicted])
    assert torch.equal(found.children, tree.path_children[predicted])
    behind = found.nodes < 0
    assert torch.equal(found.probabilities.isnan(), behind) and torch.equal(found.runners_up < 0, behind)
    assert (found.probabilities >= found.runner_up_probabilities)[~behind].all()
    assert [way[-1].child for way in route(tree, answers)] == [tree.classes[label] for label in predicted.tolist()]
