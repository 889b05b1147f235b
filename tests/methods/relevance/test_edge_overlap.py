"""Overlap with edges by hand on 4x4, against its chances."""

from __future__ import annotations

import math

import pytest
import torch

from src.core.errors import UserError
from src.methods.relevance.edge_overlap import circular_shifts, edge_overlap, relevant_region

MAPS = torch.tensor([[[8.0, 2, 0, -1], [6, 0, 0, -1], [0, 0, 0, -1], [0, 0, 0, -9]]])
EDGES = torch.zeros(1, 4, 4, dtype=torch.bool)
EDGES[0, 0] = True  # the first row
SELF = torch.tensor([0])


def test_the_thesis_takes_what_exceeds_the_mean_of_its_sign() -> None:
    assert relevant_region(MAPS)[0].nonzero().tolist() == [[0, 0], [1, 0]]  # above 16 / 3
    assert relevant_region(-MAPS)[0].nonzero().tolist() == [[3, 3]]  # below -3


def test_a_share_takes_the_most_relevant_that_are_positive() -> None:
    assert relevant_region(MAPS, 2 / 16)[0].nonzero().tolist() == [[0, 0], [1, 0]]
    assert relevant_region(MAPS, 0.9).sum() == 3  # no more are positive
    assert relevant_region(torch.ones(1, 4, 4), 0.25).all()  # all tie
    with pytest.raises(UserError, match="share=1"):
        relevant_region(MAPS, 1.0)


def test_a_map_of_equal_values_has_no_region_that_stands_out() -> None:
    for value in (1.0, 0.1, 1 / 3):
        assert not relevant_region(torch.full((1, 7, 9), value)).any()


def test_overlap_by_hand() -> None:
    made = edge_overlap(MAPS, EDGES, SELF, [(1, 0), (2, 0)])["positive"]
    assert made.edges.precision.item() == 1 / 2 and made.edges.recall.item() == 1 / 4
    assert made.edges.iou.item() == pytest.approx(1 / (2 + 4 - 1))
    assert made.edges.mass.item() == pytest.approx((8 + 2) / 16)
    # the row below holds the other pixel, 6 of 16 of the relevance; the third row nothing
    assert made.shifted.precision.item() == pytest.approx((1 / 2 + 0) / 2)
    assert made.shifted.mass.item() == pytest.approx((6 / 16 + 0) / 2)
    assert made.chance.precision.item() == 4 / 16 and made.chance.mass.item() == 4 / 16
    assert made.chance.recall.item() == 2 / 16
    assert made.chance.iou.item() == pytest.approx((1 / 32) / (1 / 4 + 1 / 8 - 1 / 32))
    assert made.without_region == made.without_edges == 0


def test_negative_relevance_is_looked_at_by_itself() -> None:
    both = edge_overlap(MAPS, EDGES, SELF, [(1, 0)])
    assert both["negative"].edges.precision.item() == 0
    assert both["negative"].edges.mass.item() == pytest.approx(1 / 12)
    mirrored = edge_overlap(-MAPS, EDGES, SELF, [(1, 0)])
    assert mirrored["positive"].edges == both["negative"].edges


def test_a_method_without_negatives_is_not_defined_there() -> None:
    made = edge_overlap(MAPS.clamp(min=0), EDGES, SELF, [(1, 0)])["negative"]
    for overlap in (made.edges, made.shifted, made.other, made.chance):
        assert all(value.isnan().all() for value in overlap)
    assert made.without_region == 1


def test_images_without_edges_and_maps_that_are_not_finite_are_told() -> None:
    maps = MAPS.repeat(4, 1, 1)
    maps[3, 0, 0] = math.nan
    edges = EDGES.repeat(4, 1, 1)
    edges[1], edges[2] = False, True
    made = edge_overlap(maps, edges, torch.tensor([3, 0, 3, 0]), [(1, 0)])["positive"]
    for value in (*made.edges, *made.shifted, *made.chance):
        assert value.isnan().tolist() == [False, True, True, True]
    assert made.without_edges == 2 and made.without_region == 1
    for value in made.other[:3]:  # the others' edges are there
        assert value.isnan().tolist() == [False, False, False, True]


def test_another_images_edges() -> None:
    edges = torch.cat([EDGES, EDGES.transpose(1, 2)])  # of the second the first column, which holds the whole region
    made = edge_overlap(MAPS.repeat(2, 1, 1), edges, torch.tensor([1, 0]), [(1, 1)])["positive"]
    assert made.edges.precision.tolist() == [0.5, 1] and made.other.precision.tolist() == [1, 0.5]
    assert made.other.mass.tolist() == pytest.approx([14 / 16, 10 / 16])


def test_a_uniform_map_is_at_chance_in_all_that_it_has() -> None:
    edges = torch.rand(3, 6, 7, generator=torch.Generator().manual_seed(0)) < 0.3
    made = edge_overlap(torch.ones(3, 6, 7), edges, torch.tensor([1, 2, 0]), [(2, 3)], share=0.2)["positive"]
    assert torch.equal(made.edges.precision, made.chance.precision)
    assert torch.equal(made.edges.mass, made.chance.mass) and torch.equal(made.shifted.mass, made.chance.mass)
    assert made.edges.recall.eq(1).all() and made.chance.recall.eq(1).all()


def test_a_map_of_edges_beats_every_chance() -> None:
    edges = torch.rand(5, 16, 16, generator=torch.Generator().manual_seed(1)) < 0.2
    noise = torch.rand(5, 16, 16, generator=torch.Generator().manual_seed(2)) + 0.5
    made = edge_overlap(noise * edges, edges, torch.tensor([1, 2, 3, 4, 0]), [(5, 6), (8, 4)])["positive"]
    assert made.edges.precision.eq(1).all() and made.edges.mass.eq(1).all()
    for control in (made.shifted, made.other, made.chance):
        assert (control.precision < 0.5).all() and (control.mass < 0.5).all()


def test_shifts_are_seeded_and_far() -> None:
    shifts = circular_shifts(32, 20, 50, seed=3)
    assert shifts == circular_shifts(32, 20, 50, seed=3) != circular_shifts(32, 20, 50, seed=4)
    assert all(8 <= down <= 24 and 5 <= right <= 15 for down, right in shifts)
    assert {down for down, _ in circular_shifts(2, 2, 10, seed=0)} == {1}


def test_no_shift_is_refused() -> None:
    with pytest.raises(UserError, match="at least one"):
        edge_overlap(MAPS, EDGES, SELF, [])
