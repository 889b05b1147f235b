"""What answers are worth beside the monolith's, on a tree of cat, dog, owl (animals) and car, bus (vehicles)."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from src.studies.composition.accuracy import MONOLITH, accuracy_of_networks
from tests.methods.hierarchy.trees import TWO

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
