"""Router or expert, which superclass, and what the modules' errors foretell, on a tree of two superclasses."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from src.studies.composition.accuracy import HARD, MONOLITH
from src.studies.composition.errors import (
    ModuleAnswers,
    branches_of,
    errors_of,
    heuristic_of,
    metrics_of,
    thesis_shares,
)
from tests.methods.hierarchy.trees import FLAT, TWO

CAT, CAR, DOG, BUS, OWL = range(5)
LABELS = torch.tensor([CAT, DOG, OWL, CAT, CAR, BUS, CAR, BUS])


def sure_of(classes: Tensor) -> Tensor:
    """Log-probabilities (n, 5)."""
    return torch.full((len(classes), 5), 0.1).scatter(1, classes[:, None], 0.6).double().log()


def decided(choices: list[list[int]], children: list[int], sure: float = 20.0) -> list[Tensor]:
    """Per node logits (n, children) that choose a child for each image."""
    return [sure * torch.eye(count)[torch.tensor(chosen)] for chosen, count in zip(choices, children, strict=True)]


def right_modules() -> ModuleAnswers:
    """The root and the vehicles are always right, the animals say cat."""
    choices = [[0, 0, 0, 0, 1, 1, 1, 1], [0] * 8, [0, 0, 0, 0, 0, 1, 0, 1]]
    answers = decided(choices, [2, 3, 2])
    return ModuleAnswers(answers, LABELS, answers, LABELS)


def test_branches_by_hand():
    # of the animals one goes to the vehicles, one is the wrong animal; of the vehicles two are cats
    predicted = torch.tensor([CAT, CAT, CAR, CAT, CAR, BUS, CAT, CAT])
    animals, vehicles = branches_of(TWO, "n", predicted, LABELS)
    assert (animals.superclass, vehicles.superclass) == ("animals", "vehicles")
    assert (animals.recall_of_branch, animals.accuracy) == (0.75, 0.5) and animals.within_branch == pytest.approx(2 / 3)
    assert (vehicles.recall_of_branch, vehicles.accuracy, vehicles.within_branch) == (0.5, 0.5, 1.0)
    assert animals.answers == 5 / 8 and vehicles.answers == 3 / 8


def test_a_branch_that_nothing_is_put_into():
    animals, vehicles = branches_of(TWO, "n", torch.full((8,), CAT), LABELS)
    assert (vehicles.recall_of_branch, vehicles.within_branch, vehicles.answers) == (0.0, 0.0, 0.0)
    assert animals.recall_of_branch == 1.0


def test_independent_decisions_foretell_the_error():
    validation, test = heuristic_of(TWO, right_modules())
    assert (validation.judged_on, test.judged_on) == ("validation", "test")
    # of four animals the two cats are right: recalls 1, 0, 0 of classes with 2, 1 and 1 images
    assert test.hard == pytest.approx((0.25, 0.25)) and validation.hard == pytest.approx((0.25, 0.25))
    assert test.soft.measured / 2 == pytest.approx(0.25, abs=1e-6)


def test_a_gap_by_the_experts_alone():
    hard = sure_of(torch.tensor([CAT, CAT, CAT, CAT, CAR, BUS, CAR, BUS]))
    errors = errors_of(TWO, right_modules(), {MONOLITH: sure_of(LABELS), HARD: hard}, [MONOLITH, HARD], resamples=200,
                       seed=0)  # fmt: skip
    assert [(gap.network, gap.reading) for gap in errors.gaps] == [(HARD, "argmax"), (HARD, "summed")]
    split = errors.gaps[0].split
    assert split.gap.value == pytest.approx(math.log(1 / 0.75))
    assert (split.router.value, split.experts.value) == pytest.approx((0.0, 1.0))
    assert {branch.network for branch in errors.branches} == {MONOLITH, HARD}
    confusions = errors.confusions[HARD]
    assert confusions.superclasses.tolist() == [[4, 0], [0, 4]]
    assert confusions.classes[DOG].tolist() == [1, 0, 0, 0, 0] and confusions.classes.sum() == 8


@pytest.mark.parametrize("wrong", [0, 6])
def test_shares_are_metrics_only_where_there_is_a_gap(wrong):
    labels, many = LABELS.repeat(5), right_modules()
    modules = ModuleAnswers([part.repeat(5, 1) for part in many.test], labels, many.held_out, LABELS)
    predicted = labels.clone()
    predicted[:wrong] = CAR
    answers = {MONOLITH: sure_of(labels), HARD: sure_of(predicted)}
    errors = errors_of(TWO, modules, answers, [MONOLITH, HARD], resamples=200, seed=0)
    metrics = metrics_of(errors)
    assert (errors.hard_gap is not None) == bool(wrong) and set(metrics) == (
        {"router_share", "experts_share"} if wrong else set()
    )
    if wrong:
        # five of the first six images (cat, dog, owl, cat, car, bus) lose their class, four of them their branch
        assert metrics["router_share"].value == pytest.approx(math.log(40 / 36) / math.log(40 / 35))
        assert (metrics["router_share"].n, metrics["router_share"].unit) == (40, "images")


def test_one_module_alone_has_no_router():
    assert errors_of(FLAT, right_modules(), {}, [], resamples=10, seed=0) is None and metrics_of(None) == {}


def test_the_thesis():
    assert thesis_shares() == pytest.approx((0.17, 0.83), abs=0.005)
