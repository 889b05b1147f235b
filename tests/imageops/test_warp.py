from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import ndimage
from torch import Tensor

from src.imageops.warp import affine, displace, frosted, windows


@pytest.fixture
def values() -> Tensor:
    return torch.rand(3, 2, 19, 26, generator=torch.Generator().manual_seed(0)) * 255


def test_affine_is_scipys_interpolation_at_the_mapped_places(values: Tensor) -> None:
    generator = torch.Generator().manual_seed(1)
    inverse = torch.tensor([[0.9, 0.2], [-0.3, 1.1], [3.0, -4.0]]) + torch.rand(3, 3, 2, generator=generator) / 10
    y, x = np.mgrid[:19, :26]
    for image, matrix, made in zip(values.numpy(), inverse.double().numpy(), affine(values, inverse), strict=True):
        source_x, source_y = (x * matrix[0, axis] + y * matrix[1, axis] + matrix[2, axis] for axis in (0, 1))
        expected = [ndimage.map_coordinates(c, [source_y, source_x], order=1, mode="mirror") for c in image]
        np.testing.assert_allclose(made.numpy(), expected, atol=0.02)


def test_displace_is_scipys_interpolation_at_the_shifted_places(values: Tensor) -> None:
    shifts = torch.randn(3, 2, 19, 26, generator=torch.Generator().manual_seed(2)) * 5
    y, x = np.mgrid[:19, :26]
    for image, shift, made in zip(values.numpy(), shifts.double().numpy(), displace(values, shifts), strict=True):
        expected = [ndimage.map_coordinates(c, [y + shift[1], x + shift[0]], order=1, mode="reflect") for c in image]
        np.testing.assert_allclose(made.numpy(), expected, atol=0.02)


def pixel_by_pixel(image: Tensor, rows: Tensor, columns: Tensor, reach: int) -> Tensor:
    """As the published program goes through an image: what it takes to be an exchange is a copy."""
    image = image.clone()
    height, width = image.shape[1:]
    for row in range(height - reach, reach, -1):
        for column in range(width - reach, reach, -1):
            down, right = int(rows[row, column]), int(columns[row, column])
            image[:, row, column] = image[:, row + down, column + right]
    return image


@pytest.mark.parametrize(("reach", "passes"), [(1, 1), (1, 2), (2, 1), (3, 2), (4, 2)])
def test_frosted_glass_equals_going_through_the_pixels_in_turn(values: Tensor, reach: int, passes: int) -> None:
    made = frosted(values, reach, passes, torch.Generator().manual_seed(3))
    generator = torch.Generator().manual_seed(3)
    height, width = values.shape[2:]
    rows, columns = range(reach + 1, min(height - reach + 1, height)), range(reach + 1, min(width - reach + 1, width))
    expected = values
    for _ in range(passes):
        drawn = torch.randint(-reach, reach, (2, 3, len(rows) * len(columns)), generator=generator)
        offsets = torch.zeros(2, 3, height, width, dtype=torch.int64)
        offsets[:, :, rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1] = drawn.unflatten(
            2, (len(rows), len(columns))
        )
        expected = torch.stack([pixel_by_pixel(image, *offsets[:, n], reach) for n, image in enumerate(expected)])
    assert torch.equal(made, expected)
    assert not torch.equal(made, values)


def test_equals_slices() -> None:
    images = torch.arange(5 * 3 * 9 * 11).view(5, 3, 9, 11)
    top, left, chosen = torch.tensor([0, 5, 2]), torch.tensor([4, 0, 3]), torch.tensor([4, 0, 4])
    made = windows(images, top, left, 4, 7, chosen)
    expected = [images[c, :, t : t + 4, x : x + 7] for c, t, x in zip(chosen, top, left, strict=True)]
    assert torch.equal(made, torch.stack(expected))


def test_each_its_own_where_none_is_chosen_and_whatever_the_memory_format() -> None:
    images = torch.rand(2, 3, 6, 6).contiguous(memory_format=torch.channels_last)
    made = windows(images, torch.tensor([1, 2]), torch.tensor([2, 0]), 4, 4)
    assert torch.equal(made, torch.stack([images[0, :, 1:5, 2:6], images[1, :, 2:6, :4]]))
