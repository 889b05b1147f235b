"""Nearness in the tree, and its identity with accuracies."""

from __future__ import annotations

import pytest
import torch

from src.methods.hierarchy.nodes import Tree
from src.methods.hierarchy.similarity import similarity
from tests.methods.hierarchy.trees import THREE, TREES, TWO


def test_by_hand():
    found = similarity(THREE)
    assert found[0].tolist() == [1, 0.5, 0, 0, 0, 0, 0, 0]  # cat, dog, others
    assert found[2].tolist() == pytest.approx([0, 0, 1, 2 / 3, 2 / 3, 1 / 3, 1 / 3, 0])  # car, bus, tram, plane, glider
    assert found[7].tolist() == [0] * 7 + [1]


@pytest.mark.parametrize("tree", TREES.values(), ids=TREES)
def test_of_sets_of_nodes(tree: Tree):
    def path(label: int) -> set[tuple[int, ...]]:
        children = [child for _, child in tree.path_of(label)]
        return {tuple(children[: end + 1]) for end in range(len(children))}

    found = similarity(tree)
    for i in range(len(tree.classes)):
        for j in range(len(tree.classes)):
            expected = len(path(i) & path(j)) / max(len(path(i)), len(path(j)))
            assert found[i, j].item() == pytest.approx(expected)


def test_of_two_levels_it_is_accuracy_and_half_of_what_the_superclass_adds():
    generator = torch.Generator().manual_seed(0)
    labels, predicted = torch.randint(5, (2, 500), generator=generator)
    accuracy = (labels == predicted).double().mean()
    parent = TWO.superclass_of
    coarse = (parent[labels] == parent[predicted]).double().mean()
    assert similarity(TWO)[labels, predicted].mean().item() == pytest.approx(
        (accuracy + 0.5 * (coarse - accuracy)).item()
    )
