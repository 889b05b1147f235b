"""Measures of localisation by hand on maps of 2x2 to 4x4, and what holds for all maps."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from src.imageops.edges import outlines
from src.methods.relevance.localisation import chance, outline_share, pointing_game, rank_accuracy, relevance_mass

MEASURES = (relevance_mass, rank_accuracy, pointing_game)
measures = pytest.mark.parametrize("measure", MEASURES, ids=lambda measure: measure.__name__)
Measure = Callable[[Tensor, Tensor], Tensor]

MASK = torch.tensor([[[True, True, False], [True, False, False]]])  # 3 of 6 pixels


def random_masks(seed: int, count: int, height: int, width: int) -> Tensor:
    """Neither empty nor full."""
    masks = torch.rand(count, height, width, generator=torch.Generator().manual_seed(seed)) < 0.4
    masks[:, 0, 0], masks[:, -1, -1] = True, False
    return masks


def test_mass_by_hand() -> None:
    maps = torch.tensor([[[3.0, -5, 1], [2, 4, -1]]])
    assert relevance_mass(maps, MASK).item() == pytest.approx((3 + 2) / (3 + 1 + 2 + 4))


def test_rank_accuracy_by_hand() -> None:
    assert rank_accuracy(torch.tensor([[[6.0, 1, 5], [4, 3, 2]]]), MASK).item() == pytest.approx(2 / 3)
    # 9 is sure; of three that tie for the two places left, two are in the mask
    assert rank_accuracy(torch.tensor([[[9.0, 5, 5], [5, 1, 0]]]), MASK).item() == pytest.approx((1 + 2 * 2 / 3) / 3)


def test_pointing_game_by_hand() -> None:
    maps = torch.tensor([[[0.0, 7, 1], [2, 3, 4]], [[0, 1, 7], [2, 3, 4]], [[7, 1, 7], [2, 7, 4]]])
    assert pointing_game(maps, MASK.expand(3, 2, 3)).tolist() == pytest.approx([1, 0, 1 / 3])


def test_tolerance_widens_the_mask_and_chance() -> None:
    masks = torch.zeros(1, 4, 4, dtype=torch.bool)
    masks[0, 0, 0] = True
    maps = torch.zeros(1, 4, 4)
    maps[0, 1, 1] = 1  # 1.4 pixels away
    assert [pointing_game(maps, masks, tolerance).item() for tolerance in (0, 1, 2)] == [0, 0, 1]
    # a quarter of a disk: within 1 pixel 3, within 2 pixels 6
    assert [chance(masks, tolerance).item() for tolerance in (0, 1, 2)] == [1 / 16, 3 / 16, 6 / 16]


@measures
@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10**6), height=st.integers(1, 9), width=st.integers(2, 9), value=st.floats(0.01, 1e6))
def test_a_uniform_map_gets_chance_to_the_last_bit(
    measure: Measure, seed: int, height: int, width: int, value: float
) -> None:
    masks = random_masks(seed, 3, height, width)
    made = measure(torch.ones(3, height, width), masks)
    assert torch.equal(made, chance(masks))
    level = measure(torch.full((3, height, width), value), masks)  # a sum of fractions rounds
    assert torch.allclose(level, chance(masks), rtol=1e-12, atol=0)


@measures
def test_a_map_that_is_the_mask_gets_all_and_its_opposite_nothing(measure: Measure) -> None:
    masks = random_masks(1, 5, 6, 7)
    noise = torch.rand(5, 6, 7, generator=torch.Generator().manual_seed(2)) + 0.1
    assert measure(noise * masks, masks).eq(1).all()
    assert measure(noise * ~masks, masks)[masks.sum((1, 2)) < 21].eq(0).all()


@measures
@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10**6), scale=st.sampled_from([0.125, 2.0, 1024.0]))
def test_scale_and_the_order_of_images_do_not_count(measure: Measure, seed: int, scale: float) -> None:
    generator = torch.Generator().manual_seed(seed)
    maps, masks = torch.randn(6, 5, 4, generator=generator), random_masks(seed, 6, 5, 4)
    made, order = measure(maps, masks), torch.randperm(6, generator=generator)
    assert torch.equal(measure(scale * maps, masks), made)  # powers of two, exact
    assert torch.equal(measure(maps[order], masks[order]), made[order])
    assert ((made >= 0) & (made <= 1)).all()


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_ties_get_the_mean_over_all_orders(seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    maps, masks = torch.randint(1, 4, (1, 3, 4), generator=generator).float(), random_masks(seed, 1, 3, 4)
    broken = maps + 0.01 * torch.rand(4000, 3, 4, generator=generator)
    for measure in (rank_accuracy, pointing_game):
        assert measure(broken, masks.expand(4000, 3, 4)).mean().item() == pytest.approx(
            measure(maps, masks).item(), abs=0.05
        )


@measures
def test_what_is_not_defined_is_nan(measure: Measure) -> None:
    maps = torch.ones(6, 2, 3)
    maps[2], maps[3], maps[4, 0, 0], maps[5, 1, 1] = 0, -1, math.nan, math.inf
    masks = MASK.repeat(6, 1, 1)
    masks[0], masks[1] = False, True
    assert measure(maps, masks).isnan().all()
    assert chance(masks).isnan().tolist() == [True, True, False, False, False, False]


def test_a_mask_that_tolerance_makes_the_whole_image_is_nan() -> None:
    assert pointing_game(torch.rand(1, 2, 3), MASK, 2).isnan().all() and chance(MASK, 2).isnan().all()


def test_outline_against_interior_by_hand() -> None:
    masks = torch.zeros(1, 4, 4, dtype=torch.bool)
    masks[0, :3, :3] = True  # of the corner of an image the outline is a hook of 5 pixels, the interior has 4
    hook = outlines(masks)
    assert hook.sum() == 5
    maps = torch.where(hook, 3.0, 1.0)
    maps[0, 3, 3] = 100  # outside: does not count
    assert outline_share(maps, hook, masks).item() == pytest.approx(3 / (3 + 1))
    assert outline_share(torch.ones(1, 4, 4), hook, masks).item() == 0.5
    assert outline_share(hook.float(), hook, masks).item() == 1
    assert outline_share((masks & ~hook).float(), hook, masks).item() == 0


def test_outline_without_interior_or_relevance_is_nan() -> None:
    masks = torch.zeros(2, 4, 4, dtype=torch.bool)
    masks[0, 1, 1:3] = True  # too thin to have an interior
    masks[1, :3, :3] = True
    maps = torch.ones(2, 4, 4)
    maps[1] = torch.where(masks[1], -1.0, 1.0)  # all that is positive lies outside
    assert outline_share(maps, outlines(masks), masks).isnan().all()
