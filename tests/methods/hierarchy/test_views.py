"""Crops: where they are cut, in which order they come, and what is refused."""

from __future__ import annotations

import pytest
import torch

from src.core.errors import UserError
from src.methods.hierarchy.views import Views

IMAGES = torch.arange(2 * 3 * 5 * 6).float().view(2, 3, 5, 6)


def test_ten_crops():
    found = Views(4, "ten")(IMAGES)
    assert found.shape == (20, 3, 4, 4)
    corners = [(0, 0), (0, 2), (1, 0), (1, 2), (0, 1)]  # and the centre, rounded up and left
    for number, (row, column) in enumerate(corners):
        crop = IMAGES[:, :, row : row + 4, column : column + 4]
        assert torch.equal(found[2 * number : 2 * number + 2], crop)
        assert torch.equal(found[10 + 2 * number : 12 + 2 * number], crop.flip(3))


def test_fewer_crops_and_the_other_axis():
    five = Views(4, "five")(IMAGES)
    assert torch.equal(five, Views(4, "ten")(IMAGES)[:10])
    assert torch.equal(Views(4, "centre")(IMAGES), IMAGES[:, :, 0:4, 1:5])
    assert torch.equal(Views(4, "ten", "up_down")(IMAGES)[10:], five.flip(2))


def test_a_crop_as_large_as_the_image():
    square = IMAGES[..., :5]
    assert torch.equal(Views(5, "centre")(square), square) and torch.equal(Views(5, "five")(square), square)
    assert torch.equal(Views(5, "ten")(square), torch.cat([square, square.flip(3)]))


def test_too_large():
    with pytest.raises(UserError, match=r"views.size=6: the images have 5x6 pixels; take at most 5"):
        Views(6)(IMAGES)


def test_plain_and_back():
    assert Views(**Views(4, "five", "up_down").plain()) == Views(4, "five", "up_down")
