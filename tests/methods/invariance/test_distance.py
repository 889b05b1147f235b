"""Distances over all pairs against all pairs written out."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from src.core.errors import UserError
from src.methods.invariance.distance import Distances, distances, mean_distance, mean_gap
from src.methods.invariance.passes import Examination, Setup
from tests.methods.invariance.given import examined
from tests.methods.invariance.sets import Rotations, network, photos
from tests.methods.invariance.test_variance import everything


def measured(images: Tensor, **setup: Any) -> Distances:
    return distances(Examination(network(), images, Rotations(), setup=Setup(**{"dtype": torch.float64, **setup})))


def plain(values: Tensor, whole: bool) -> tuple[Tensor, Tensor]:
    """(S, T, ...) -> TD and SD, of channels where maps are whole, else of units."""
    values = values.flatten(3) if whole else values[..., None]
    images, transformations = (
        torch.stack([(values.select(dim, i) - values.select(dim, j)).norm(dim=-1)
                     for i, j in combinations(range(values.shape[dim]), 2)]).mean((0, 1))
        for dim in (0, 1)
    )  # fmt: skip
    return transformations, images


@pytest.mark.parametrize("before", ["none", "mean"])
def test_all_pairs_of_every_layer(before: str) -> None:
    images = photos(9)
    kept = everything(network(), images, Rotations())
    found = measured(images, before=before)
    assert [each.layer.name for each in found.layers] == list(kept) and found.passes == 2
    for each in found.layers:
        values = kept[each.layer.name]
        values = values.mean((3, 4)) if before == "mean" and values.ndim == 5 else values
        expected = plain(values, values.ndim == 5)
        torch.testing.assert_close(each.ratio.transformation, expected[0], atol=1e-9, rtol=1e-9)
        torch.testing.assert_close(each.ratio.sample, expected[1], atol=1e-9, rtol=1e-9)
        moves = expected[1] > 1e-9
        torch.testing.assert_close(each.ratio.values[moves], (expected[0] / expected[1])[moves], atol=1e-9, rtol=1e-9)
        assert each.ratio.dead == int((~moves).sum())


def test_single_precision_is_near() -> None:
    images = photos(9)
    double, single = measured(images), measured(images, dtype=torch.float32)
    for each, other in zip(double.layers, single.layers, strict=True):
        torch.testing.assert_close(each.ratio.values, other.ratio.values, atol=1e-4, rtol=1e-4, equal_nan=True)


@pytest.mark.parametrize("change", [{"batch": 4}, {"batch": 12}, {"batch": 1000}, {"memory_gb": 0.00664}])
def test_batches_and_memory_change_nothing(change: dict[str, Any]) -> None:
    images = photos(11)
    one, other = measured(images), measured(images, **change)
    assert one.passes == 2 and (other.passes > 2) == ("memory_gb" in change)
    for each, same in zip(one.layers, other.layers, strict=True):
        torch.testing.assert_close(each.ratio.values, same.ratio.values, atol=1e-12, rtol=1e-12, equal_nan=True)


def test_maps_turned_back() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(256, 3))
    kernel = torch.rand(4, 3, 3, 3)
    with torch.no_grad():
        model.get_parameter("0.weight").copy_(torch.stack([kernel.rot90(k, (2, 3)) for k in range(4)]).sum(0))
    plainly, back = (
        distances(Examination(model, photos(), Rotations(), setup=Setup(same_equivariance=same, dtype=torch.float64)))
        for same in (False, True)
    )
    assert plainly.layers[0].ratio.mean > 0.5 and back.layers[0].ratio.mean < 1e-6
    assert back.layers[0].ratio.values.shape == (4,)


def test_dead_and_infinite_units_are_told_apart() -> None:
    alike = measured(photos(1).repeat(5, 1, 1, 1))
    for each in alike.layers:
        assert each.ratio.infinite > 0 and each.ratio.infinite + each.ratio.dead == each.ratio.values.numel()
    constant = measured(torch.full((5, 3, 8, 8), 90, dtype=torch.uint8))
    assert all(each.ratio.dead == each.ratio.values.numel() for each in constant.layers)


def test_all_pairs_by_sorting() -> None:
    values = torch.randn(3, 17, dtype=torch.float64)
    values[0, 4:9] = values[0, 4]
    values[2] = 0.1
    gaps = torch.stack([(values[:, i] - values[:, j]).abs() for i, j in combinations(range(17), 2)], 1).mean(1)
    torch.testing.assert_close(mean_gap(values), gaps, atol=1e-12, rtol=1e-12)
    assert mean_gap(values)[2] == 0
    equal = torch.randn(1, 1, 300).repeat(2, 40, 1)
    assert mean_distance(equal).tolist() == [0, 0]


def test_units_of_no_map() -> None:
    activations = torch.randn(7, 3, 5, dtype=torch.float64)
    found = distances(examined(activations)).layers[0].ratio
    expected = plain(activations, whole=False)
    torch.testing.assert_close(found.transformation, expected[0], atol=1e-12, rtol=1e-12)
    torch.testing.assert_close(found.sample, expected[1], atol=1e-12, rtol=1e-12)


def test_bad_input() -> None:
    with pytest.raises(UserError, match="after=mean: a map is one unit"):
        measured(photos(4), after="mean")
    with pytest.raises(UserError, match=r"memory_gb=0.001: one unit of layer '0' takes .* 0 are left"):
        measured(photos(4), memory_gb=0.001)
