"""Removal by hand on 2x2, and on a linear network of which the best order is known."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from src.core.errors import UserError
from src.methods.relevance.controls import random_map, uniform_map
from src.methods.relevance.removal import removal


def light(images: Tensor) -> Tensor:
    """The first class's logit is the sum of all pixels, the second's is 0."""
    total = images.double().sum((1, 2, 3))
    return torch.stack([total, torch.zeros_like(total)], 1)


def sides(images: Tensor) -> Tensor:
    """The first class's logit is how much brighter the left half is than the right."""
    left, right = images.double().mean(1).tensor_split(2, 2)
    total = left.sum((1, 2)) - right.sum((1, 2))
    return torch.stack([total, torch.zeros_like(total)], 1)


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def sparks(count: int = 12) -> tuple[Tensor, Tensor, Tensor]:
    """Dark images with a few bright pixels that do not touch, the weights of a linear network, targets."""
    lit = torch.zeros(count, 1, 12, 12)
    places = torch.arange(1, 12, 3)
    grid = torch.cartesian_prod(places, places)
    generator = torch.Generator().manual_seed(0)
    for image in lit:
        chosen = grid[torch.randperm(16, generator=generator)[:8]]
        image[0, chosen[:, 0], chosen[:, 1]] = 1
    return lit, lit, torch.zeros(count, dtype=torch.int64)


def test_curves_and_area_by_hand() -> None:
    images = torch.tensor([[[[1.0, 0], [0, 0]]]])
    maps = torch.tensor([[[[4.0, 3], [2, 1]]]])
    made = removal(light, images, torch.tensor([0]), maps, seed=0, sigma=0, shares=(0.25, 0.5))
    # most relevant first: the light goes, and its place is filled with darkness
    most = [sigmoid(1), 0.5, 0.5]
    # least first: the corner becomes 1/5; then both lower pixels y = (2 + 2x) / 5 and x = (1 + 2y) / 5: 4/7 and 3/7
    least = [sigmoid(1), sigmoid(1.2), sigmoid(2)]
    assert made.most[0, 0].tolist() == pytest.approx(most, abs=1e-5)
    assert made.least[0, 0].tolist() == pytest.approx(least, abs=1e-5)
    assert made.shares == (0, 0.25, 0.5)
    one, two = least[1] - most[1], least[2] - most[2]
    assert made.area.item() == pytest.approx((0 + one) / 2 * 0.5 + (one + two) / 2 * 0.5, abs=1e-5)
    assert made.least_right.eq(1).all() and made.most_right[0, 0, 0] == 1


def test_a_map_that_knows_a_linear_network_is_better_than_every_random_order() -> None:
    images, weights, targets = sparks()

    def predict(batch: Tensor) -> Tensor:
        return light(batch - 0.5 * 8 / 144)

    maps = torch.stack([
        weights[:, 0], weights[:, 0] + 0.1 * random_map(images, 9, 0),
        *(random_map(images, 0, draw) for draw in range(10)), -weights[:, 0], uniform_map(images),
    ])  # fmt: skip
    made = removal(predict, images, targets, maps, seed=1)
    known, noisy, randoms, turned, uniform = (made.area[part] for part in (0, 1, slice(2, 12), 12, 13))
    assert (known > randoms.amax(0)).all() and (noisy > randoms.amax(0)).all()
    assert (known > 0).all() and (turned < randoms.amin(0)).all()
    assert abs(randoms.mean().item()) < 0.05 and abs(uniform.mean().item()) < 0.1
    assert (made.least_right[0] - made.most_right[0]).sum() > 0


def test_the_opposite_map_has_the_opposite_area_to_the_bit() -> None:
    images = torch.rand(5, 3, 8, 8, generator=torch.Generator().manual_seed(2))
    maps = torch.randn(1, 5, 8, 8, generator=torch.Generator().manual_seed(3))
    made = removal(sides, images, torch.zeros(5, dtype=torch.int64), torch.cat([maps, -maps]), seed=0)
    assert torch.equal(made.most[0], made.least[1]) and torch.equal(made.area[0], -made.area[1])
    assert made.area.abs().min() > 1e-6


def test_nothing_is_asked_twice_and_bytes_stay_bytes() -> None:
    images = torch.randint(0, 256, (5, 3, 6, 6), generator=torch.Generator().manual_seed(4)).to(torch.uint8)
    asked: list[Tensor] = []

    def predict(batch: Tensor) -> Tensor:
        asked.append(batch.clone())
        return light(batch.double() / 255)

    maps = torch.stack([random_map(images, 0, draw) for draw in range(3)])
    removal(predict, images, torch.zeros(5, dtype=torch.int64), maps, seed=0, shares=(0.1, 0.5), batch=4)
    together = torch.cat(asked)
    assert together.dtype == torch.uint8 and len(together) == 5 + 3 * 2 * 2 * 5
    assert max(len(batch) for batch in asked) <= 4 and torch.equal(together[:5], images)
    changed = (together[5:10] != images).any(1).flatten(1).sum(1)  # 4 of 36 pixels, where noise is not rounded away
    assert (changed <= 4).all() and changed.sum() > 15


def test_removed_pixels_get_noise_of_the_given_size_and_stay_in_range() -> None:
    images = torch.full((4, 3, 16, 16), 0.5)
    images[3] = 1
    asked: list[Tensor] = []

    def predict(batch: Tensor) -> Tensor:
        asked.append(batch.clone())
        return light(batch)

    removal(predict, images, torch.zeros(4, dtype=torch.int64), uniform_map(images)[None], seed=0, sigma=0.05,
            shares=(0.5,))  # fmt: skip
    most, least = asked[1].split(4)
    noise = most - images
    assert (noise != 0).any(1).sum((1, 2)).tolist()[:3] == [128] * 3
    assert noise[:3][noise[:3] != 0].std().item() == pytest.approx(0.05, rel=0.1)
    assert most.max() <= 1 and least.max() <= 1
    overlap = (most != images).any(1) & (least != images).any(1)
    assert not overlap[:3].any()  # half and the other half


def test_same_seed_same_result_whatever_the_batch() -> None:
    images = torch.rand(6, 1, 10, 10, generator=torch.Generator().manual_seed(5))
    targets, maps = torch.zeros(6, dtype=torch.int64), uniform_map(images)[None]

    def area(seed: int, batch: int = 256) -> Tensor:
        return removal(sides, images, targets, maps, seed=seed, batch=batch).area

    assert torch.equal(area(0), area(0)) and torch.allclose(area(0), area(0, batch=7), atol=1e-4)
    assert ((area(0) - area(1)).abs() > 1e-3).all()


def test_the_order_of_images_does_not_count() -> None:
    images = torch.rand(6, 1, 9, 9, generator=torch.Generator().manual_seed(6))
    maps, order = torch.randn(1, 6, 9, 9, generator=torch.Generator().manual_seed(7)), torch.tensor([3, 1, 5, 0, 2, 4])
    targets = torch.arange(6) % 2
    made = removal(sides, images, targets, maps, seed=0, sigma=0).area
    turned = removal(sides, images[order], targets[order], maps[:, order], seed=0, sigma=0).area
    assert torch.allclose(turned, made[:, order], atol=1e-4) and made.std() > 0.01


def test_only_the_order_of_a_maps_values_counts() -> None:
    images = torch.rand(3, 1, 8, 8, generator=torch.Generator().manual_seed(8))
    maps = torch.randn(1, 3, 8, 8, generator=torch.Generator().manual_seed(9))
    made = removal(sides, images, torch.zeros(3, dtype=torch.int64), torch.cat([maps, maps.exp() * 100]), seed=0)
    assert torch.equal(made.most[0], made.most[1]) and made.most.std(2).min() > 0.01


def test_a_map_that_is_not_finite_has_no_area_and_leaves_others_theirs() -> None:
    images = torch.rand(2, 1, 5, 5, generator=torch.Generator().manual_seed(10))
    maps = torch.rand(2, 2, 5, 5, generator=torch.Generator().manual_seed(11))
    maps[0, 1, 2, 2] = math.nan
    made = removal(sides, images, torch.zeros(2, dtype=torch.int64), maps, seed=0)
    assert made.area.isnan().tolist() == [[False, True], [False, False]]


@pytest.mark.parametrize("shares", [(), (0.5, 0.2), (0.5, 0.5), (0.01, 0.5), (0.5, 1.0), (-0.5, 0.5)])
def test_shares_that_cannot_be_removed_are_refused(shares: tuple[float, ...]) -> None:
    images = torch.rand(1, 1, 4, 4)
    with pytest.raises(UserError, match="from 1 to 15"):
        removal(sides, images, torch.tensor([0]), images, seed=0, shares=shares)
