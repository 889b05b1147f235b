from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import ndimage
from torch import Tensor

from src.imageops.filters import along_axes, box_matrix, filter_matrix, gaussian


@pytest.fixture
def values() -> Tensor:
    return torch.rand(2, 3, 17, 24, generator=torch.Generator().manual_seed(0)) * 255


@pytest.mark.parametrize(
    ("sigma", "border", "scipys", "truncate"),
    [
        (0.7, "nearest", "nearest", 4.0),
        (6.0, "nearest", "nearest", 4.0),
        (1.3, "symmetric", "reflect", 3.0),
        (19.0, "symmetric", "reflect", 3.0),  # reaches over the image more than once
        (2.0, "mirror", "mirror", 4.0),
    ],
)
def test_gaussian_is_scipys(values: Tensor, sigma: float, border: str, scipys: str, truncate: float) -> None:
    expected = ndimage.gaussian_filter(values.double().numpy(), (0, 0, sigma, sigma), mode=scipys, truncate=truncate)
    made = gaussian(values, sigma, border=border, truncate=truncate)
    np.testing.assert_allclose(made.numpy(), expected, atol=1e-3)


def test_a_gaussian_far_below_a_pixel_changes_nothing(values: Tensor) -> None:
    assert gaussian(values, 0.1) is values
    assert gaussian(values, 0.13) is not values  # 4 sigma are half a pixel


def test_rows_and_columns_are_not_mixed_up(values: Tensor) -> None:
    right = filter_matrix(24, [0, 0, 1], "nearest")  # each takes its right neighbour's
    made = along_axes(values, torch.eye(17), right)
    assert torch.equal(made[..., :-1], values[..., 1:]) and torch.equal(made[..., -1], values[..., -1])


@pytest.mark.parametrize(
    ("border", "expected"), [("nearest", [1, 1, 1, 2, 3]), ("symmetric", [2, 1, 1, 2, 3]), ("mirror", [3, 2, 1, 2, 3])]
)
def test_borders(border: str, expected: list[int]) -> None:
    made = filter_matrix(5, [1, 0, 0, 0, 0], border) @ torch.arange(1.0, 6)  # each takes what is two to the left
    assert made.tolist() == expected


def test_box_is_scipys(values: Tensor) -> None:
    made = along_axes(values, box_matrix(17, 1, values.device), box_matrix(24, 1, values.device))
    expected = ndimage.uniform_filter(values.double().numpy(), (0, 0, 3, 3), mode="mirror")
    np.testing.assert_allclose(made.numpy(), expected, atol=1e-3)
