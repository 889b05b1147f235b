"""Pixels of pictures, written out."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from src.studies.invariance.activation_pictures import (
    EMPTY,
    GAP,
    HEIGHT,
    OVER,
    SIDE,
    WIDTH,
    colour,
    map_grid,
    scale_top,
    unit_field,
)

BLACK, VIOLET, ORANGE, YELLOW, WHITE = (0, 0, 4), (65, 10, 104), (221, 81, 58), (252, 255, 164), (255, 255, 255)
NAN, INF = float("nan"), float("inf")


def layer(values: list[float]) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


def test_colours_run_evenly_from_black_to_yellow() -> None:
    values = torch.tensor([0.0, 0.4, 1.2, 2.0, 2.01, INF])
    assert colour(values, 2.0).tolist() == [list(c) for c in (BLACK, VIOLET, ORANGE, YELLOW, OVER, OVER)]
    (between,) = colour(torch.tensor([0.2]), 2.0).tolist()
    assert between == [32, 5, 54], "halfway from black to violet, a half to the even"


def test_a_field_is_sorted_columns_without_the_dead() -> None:
    field = unit_field([layer([3.0, NAN, 0.0, INF, 2.0]), layer([NAN, NAN]), layer([2.0])], 2.0)
    assert field.shape == (HEIGHT, 3 * WIDTH + 2 * GAP, 3) and field.dtype == np.uint8
    quarter = HEIGHT // 4
    for number, expected in enumerate((BLACK, YELLOW, OVER, OVER)):
        part = field[number * quarter : (number + 1) * quarter, :WIDTH].reshape(-1, 3)
        assert (part == expected).all(), number
    assert (field[:, WIDTH : WIDTH + GAP] == WHITE).all()
    assert (field[:, WIDTH + GAP : 2 * WIDTH + GAP] == EMPTY).all()
    assert (field[:, -WIDTH:] == YELLOW).all()


def test_more_units_than_pixels_are_thinned_out_in_order() -> None:
    (column,) = unit_field([layer(torch.linspace(0, 1, 2 * HEIGHT).tolist())], 1.0)[None, :, 0]
    assert (np.diff(column.astype(int).sum(1)) >= 0).all() and tuple(column[-1]) == (252, 255, 164)


def test_the_scale_ends_above_the_bulk_or_at_the_largest() -> None:
    values = [*range(11), 1000.0, NAN, INF]
    low, middle, high = np.quantile([*range(11), 1000.0], [0.25, 0.5, 0.75])
    assert scale_top([[layer(values[:5])], [layer(values[5:])]]) == pytest.approx(middle + 3 * (high - low))
    assert scale_top([[layer([1.0, 2.0, 3.0])]]) == 3.0
    assert scale_top([[layer([NAN, INF])]]) == 1.0
    assert scale_top([[layer([0.0, 0.0])]]) > 0, "nothing is divided by zero"


def tile(picture: np.ndarray, row: int, column: int, side: int) -> np.ndarray:
    top, left = row * (SIDE + GAP), column * (SIDE + GAP)
    return picture[top : top + side, left : left + side, 0]


def test_maps_are_enlarged_to_one_size_each_row_on_its_own_scale() -> None:
    one, two = torch.tensor([[0.0, 1.0], [2.0, 4.0]]), torch.tensor([[4.0, 4.0], [3.0, 2.0]])
    fine = torch.arange(28.0 * 28).view(28, 28)
    picture = map_grid([[one, two], [fine, fine * 0]])
    assert picture.shape == (2 * (SIDE + GAP), 2 * (SIDE + GAP), 3) and picture.dtype == np.uint8
    half = SIDE // 2
    expected = torch.tensor([[0, 64, 255, 255], [128, 255, 191, 128]])  # of one | of two
    shown = np.concatenate([tile(picture, 0, 0, SIDE), tile(picture, 0, 1, SIDE)], 1)
    assert (shown == expected.numpy().repeat(half, 0).repeat(half, 1)).all()
    assert tile(picture, 1, 0, SIDE)[-1, -1] == 255 and (tile(picture, 1, 1, SIDE) == 0).all()
    assert tile(picture, 1, 0, SIDE)[1, 1] == tile(picture, 1, 0, SIDE)[0, 0], "each value two pixels wide"
    assert (picture[SIDE : SIDE + GAP] == 255).all() and (picture[:, SIDE : SIDE + GAP] == 255).all()


@pytest.mark.parametrize(("maps", "side"), [([torch.ones(3, 3)], 57), ([torch.zeros(100, 60)], 100)])
def test_a_map_without_differences_is_black_and_large_ones_stay(maps: list[Tensor], side: int) -> None:
    picture = map_grid([maps])
    assert picture.shape[0] == side + GAP and (picture[0, 0] == 0).all()
