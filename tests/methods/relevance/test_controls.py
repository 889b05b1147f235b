"""Maps that know nothing, by hand, and who is whose other image."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from src.core.errors import UserError
from src.methods.relevance.controls import (
    blurred_map,
    centre_map,
    other_images,
    random_map,
    sobel_map,
    uniform_map,
)

IMAGES = torch.randint(0, 256, (3, 3, 6, 8), generator=torch.Generator().manual_seed(0)).to(torch.uint8)


def test_every_control_has_the_shape_and_the_type_of_a_map() -> None:
    maps = [uniform_map(IMAGES), random_map(IMAGES, 0, 0), sobel_map(IMAGES), centre_map(IMAGES)]
    maps.append(blurred_map(maps[1]))
    assert all(each.shape == (3, 6, 8) and each.dtype == torch.float32 for each in maps)
    assert uniform_map(IMAGES).eq(1).all()


def test_sobel_sees_the_step_and_nothing_of_what_is_flat() -> None:
    image = torch.zeros(1, 3, 4, 6, dtype=torch.uint8)
    image[..., 3:] = 100  # grey, so that luma is 100
    expected = torch.tensor([0.0, 0, 400, 400, 0, 0]).expand(1, 4, 6)
    assert torch.allclose(sobel_map(image), expected, atol=1e-3)


def test_the_centre_prior_is_a_gaussian_around_the_middle() -> None:
    prior = centre_map(torch.zeros(1, 1, 4, 5), sigma=0.25)[0]  # sigma 1 row, 1.25 columns
    row, column = torch.arange(4) - 1.5, torch.arange(5) - 2.0
    expected = torch.exp(-0.5 * (row[:, None] ** 2 + (column / 1.25) ** 2))
    assert torch.allclose(prior / prior.sum(), expected / expected.sum(), atol=1e-6)
    assert prior[1, 2] == prior.max() and torch.equal(prior, prior.flip(0, 1))


def test_blur_keeps_sign_and_sum_of_what_lies_inside() -> None:
    maps = torch.zeros(1, 40, 40)
    maps[0, 20, 20] = -2
    blurred = blurred_map(maps, 0.05)  # 2 pixels
    assert blurred.sum().item() == pytest.approx(-2, abs=1e-5)
    assert (blurred[0, 20, 22] / blurred[0, 20, 20]).item() == pytest.approx(math.exp(-0.5), abs=1e-5)


def test_random_maps_are_pure_functions_of_seed_draw_and_number() -> None:
    first = random_map(IMAGES, 1, 0)
    assert torch.equal(first, random_map(IMAGES, 1, 0)) and torch.equal(first[:2], random_map(IMAGES[:2], 1, 0))
    assert not torch.equal(first, random_map(IMAGES, 1, 1)) and not torch.equal(first, random_map(IMAGES, 2, 0))
    assert not torch.equal(first[0], first[1])


@settings(max_examples=60, deadline=None)
@given(labels=st.lists(st.integers(0, 4), min_size=2, max_size=25), seed=st.integers(0, 1000))
def test_the_other_image_is_of_another_class_wherever_that_can_be(labels: list[int], seed: int) -> None:
    classes = torch.tensor(labels)
    others = other_images(classes, seed)
    assert sorted(others.tolist()) == list(range(len(labels)))
    assert (others != torch.arange(len(labels))).all()
    greatest = int(classes.bincount().max())
    assert (classes[others] == classes).sum() == max(0, 2 * greatest - len(labels))  # the fewest that there can be
    assert torch.equal(others, other_images(classes, seed))


def test_the_pairs_depend_on_the_seed() -> None:
    labels = torch.arange(40) % 4
    assert not torch.equal(other_images(labels, 0), other_images(labels, 1))


def test_a_single_image_has_no_other() -> None:
    with pytest.raises(UserError, match="two images"):
        other_images(torch.tensor([3]), 0)
