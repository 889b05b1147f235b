"""Completeness by hand."""

from __future__ import annotations

import math

import pytest
import torch

from src.methods.relevance.completeness import completeness


def test_error_and_missing_share_by_hand() -> None:
    total, start = torch.tensor([4.0, 3, 5, -1]), torch.tensor([4.0, 4, 4, -4])
    assert completeness(total, start).error.tolist() == pytest.approx([0, 0.25, 0.25, 0.75])
    assert completeness(total, start).missing.tolist() == pytest.approx([0, 0.25, -0.25, 0.75])


def test_without_a_start_it_does_not_apply() -> None:
    made = completeness(torch.tensor([1.0, 1, 1]), torch.tensor([math.nan, 0, 1]))
    assert made.error.isnan().tolist() == [True, True, False] and made.missing.isnan().tolist() == [True, True, False]


def test_a_map_that_is_not_a_number_is_an_error_and_not_left_out() -> None:
    assert completeness(torch.tensor([math.nan, math.inf, -math.inf]), torch.ones(3)).error.isinf().all()


def test_a_constant_map_passes() -> None:
    start = torch.tensor([3.2])
    constant = (start / 16).expand(1, 4, 4)
    assert completeness(constant.sum((1, 2)), start).error.item() < 1e-6
