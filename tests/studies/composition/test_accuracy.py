"""What answers are worth beside the monolith's, on a tree of cat, dog, owl (animals) and car, bus (vehicles)."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from src.methods.hierarchy.nodes import Tree
from src.studies.composition.accuracy import MONOLITH, accuracy_of_networks, shares, similarity
from tests.methods.hierarchy.trees import THREE, TREES, TWO

CAT, CAR, DOG, BUS, OWL = range(5)
LABELS = torch.tensor([CAT, CAR, DOG, BUS])


def sure_of(*classes: int) -> Tensor:
    """Log-probabilities (n, 5): 0.6 for the class, 0.1 for each of the others."""
    return torch.full((len(classes), 5), 0.1).scatter(1, torch.tensor(classes)[:, None], 0.6).double().log()


def accuracies_of(**answers: Tensor):
    return accuracy_of_networks({MONOLITH: sure_of(CAT, CAR, CAR, CAR), **answers}, LABELS, TWO, resamples=200, seed=0)


def test_four_images_by_hand():
    modules = accuracies_of(modules=sure_of(CAT, CAR, OWL, CAT))["modules"]
    assert modules.accuracy.value == 0.5 and (modules.accuracy.n, modules.accuracy.unit) == (4, "images")
    assert modules.superclass_accuracy == 0.75, "the owl is an animal, the cat no vehicle"
    assert modules.within_superclass == pytest.approx(2 / 3)
    assert modules.semantic_similarity == pytest.approx((1 + 1 + 0.5 + 0) / 4)
    assert modules.confidence == pytest.approx(0.6) and modules.ece == pytest.approx(0.1)
    assert modules.nll_clipped == pytest.approx(-(math.log(0.6) + math.log(0.1)) / 2)
    assert (modules.smallest_share, modules.largest_share) == (0.0, 0.5)
    assert modules.top5 == 1.0 and modules.infinite_nll == 0


def test_the_difference_is_to_the_monolith_on_the_same_images():
    networks = accuracies_of(modules=sure_of(CAT, CAR, DOG, CAT))
    assert networks[MONOLITH].against_monolith == (0.0, 0.0, 0.0, 4, "images")
    assert networks["modules"].against_monolith.value == pytest.approx(0.25)
    assert networks["modules"].against_monolith.low >= 0, "it is right wherever the monolith is"


def test_a_class_without_a_probability_is_counted():
    hard = sure_of(CAT, CAR, DOG, BUS)
    hard[0, CAT] = -math.inf
    network = accuracies_of(hard=hard)["hard"]
    assert network.infinite_nll == 1
    assert network.nll_clipped == pytest.approx((-3 * math.log(0.6) - math.log(1e-7)) / 4)


def test_one_answer_for_all_is_a_collapse():
    networks = accuracies_of(constant=sure_of(CAT, CAT, CAT, CAT))
    assert networks["constant"].collapsed and networks["constant"].largest_share == 1.0
    assert not networks[MONOLITH].collapsed, "three of four are one class"


def test_shares_count_classes_that_are_never_predicted():
    assert shares(torch.tensor([0, 0, 1, 1]), 2) == (0.5, 0.5)
    assert shares(torch.tensor([0, 0, 1, 1]), 3) == (0.0, 0.5)


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
