"""Accuracy on groups of classes and forgetting, from answers that can be counted."""

from __future__ import annotations

import math

import pytest
import torch

from src.studies.class_change.findings import accuracy_on, forgotten, groups_of

LABELS = torch.tensor([0, 0, 1, 1, 2, 2])
WEIGHTS = torch.ones(3, 6)  # every resample is the sample itself


def bools(*values: int) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.bool)


def answers(*predicted: int) -> torch.Tensor:
    """Log-probabilities: 0.5 for the predicted class, 0.25 for the others."""
    values = torch.full((len(predicted), 3), 0.25, dtype=torch.float64)
    values[torch.arange(len(predicted)), torch.tensor(predicted)] = 0.5
    return values.log()


def test_groups_are_those_that_tell_something() -> None:
    groups = groups_of(bools(1, 0, 0, 0), bools(1, 1, 0, 0))
    assert {name: group.tolist() for name, group in groups.items()} == {
        "others": [False, True, True, True],
        "siblings": [False, True, False, False],
        "elsewhere": [False, False, True, True],
    }
    assert list(groups_of(bools(1, 1, 0, 0), bools(1, 1, 0, 0))) == ["others"]  # a whole expert has no siblings
    assert list(groups_of(bools(1, 0, 0, 0), bools(1, 1, 1, 1))) == ["others"]  # all are siblings


def test_an_accuracy_is_of_the_images_of_some_classes() -> None:
    found = accuracy_on(answers(0, 1, 1, 1, 0, 0), LABELS, bools(1, 1, 0), WEIGHTS)
    assert (found.value, found.low, found.high, found.n, found.unit) == (0.75, 0.75, 0.75, 4, "images")
    assert accuracy_on(answers(0, 1, 1, 1, 0, 0), LABELS, bools(0, 0, 1), WEIGHTS)[:1] == (0.0,)


def test_an_interval_is_over_the_resamples_of_these_images() -> None:
    weights = torch.tensor([[2.0, 0, 1, 1, 1, 1], [0, 2.0, 1, 1, 1, 1]])  # the right image twice, the wrong one twice
    found = accuracy_on(answers(0, 1, 1, 1, 0, 0), LABELS, bools(1, 0, 0), weights)
    assert (found.value, found.n) == (0.5, 2) and (found.low, found.high) == pytest.approx((0.025, 0.975))


def test_what_is_forgotten() -> None:
    before, after = answers(0, 0, 1, 1, 2, 2), answers(0, 1, 1, 1, 0, 0)
    found = forgotten(before, after, LABELS, bools(1, 1, 0), WEIGHTS)
    assert (found.before, found.after, found.changed_answers) == (1.0, 0.75, 0.25)
    assert found.lost[:3] == (0.25, 0.25, 0.25) and (found.lost.n, found.lost.unit) == (4, "images")
    assert found.largest_change == pytest.approx(0.25)
    same = forgotten(before, before, LABELS, bools(0, 0, 1), WEIGHTS)
    assert same.largest_change == same.changed_answers == same.lost.value == 0


def test_a_class_that_a_network_does_not_know_has_no_probability() -> None:
    unknown = answers(0, 0, 1, 1, 0, 0)
    unknown[:, 2] = -torch.inf
    found = forgotten(unknown, answers(0, 0, 1, 1, 2, 2), LABELS, bools(0, 0, 1), WEIGHTS)
    assert found.largest_change == pytest.approx(0.5) and found.lost.value == -1 and math.isfinite(found.lost.low)
