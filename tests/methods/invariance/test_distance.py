"""Distances over all pairs against all pairs written out."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from src.core.errors import UserError
from src.methods.invariance.distance import Distances, Shape, distances, mean_distance, mean_gap
from src.methods.invariance.passes import Examination, Setup
from tests.methods.invariance.given import examined
from tests.methods.invariance.sets import Rotations, network, photos
from tests.methods.invariance.test_variance import everything


def measured(images: Tensor, shape: Shape = "kept", unit_norm: bool = False, **setup: Any) -> Distances:
    examination = Examination(network(), images, Rotations(), setup=Setup(**{"dtype": torch.float64, **setup}))
    return distances(examination, shape=shape, unit_norm=unit_norm)


def plain(values: Tensor, whole: bool) -> tuple[Tensor, Tensor]:
    """(S, T, ...) -> TD and SD, of channels where maps are whole, else of units."""
    values = values.flatten(3) if whole else values[..., None]
    images, transformations = (
        torch.stack([(values.select(dim, i) - values.select(dim, j)).norm(dim=-1)
                     for i, j in combinations(range(values.shape[dim]), 2)]).mean((0, 1))
        for dim in (0, 1)
    )  # fmt: skip
    return transformations, images


@pytest.mark.parametrize(("shape", "before"), [("kept", "none"), ("scalar", "none"), ("kept", "mean")])
def test_all_pairs_of_every_layer(shape: Shape, before: str) -> None:
    images = photos(9)
    kept = everything(network(), images, Rotations())
    found = measured(images, shape, before=before)
    assert [each.layer.name for each in found.layers] == list(kept) and found.passes == 2
    for each in found.layers:
        values = kept[each.layer.name]
        values = values.mean((3, 4)) if before == "mean" and values.ndim == 5 else values
        expected = plain(values, shape == "kept" and values.ndim == 5)
        torch.testing.assert_close(each.ratio.transformation, expected[0], atol=1e-9, rtol=1e-9)
        torch.testing.assert_close(each.ratio.sample, expected[1], atol=1e-9, rtol=1e-9)
        moves = expected[1] > 1e-9
        torch.testing.assert_close(each.ratio.values[moves], (expected[0] / expected[1])[moves], atol=1e-9, rtol=1e-9)
        assert each.ratio.dead == int((~moves).sum())
    assert found.over_layers() == pytest.approx(sum(each.ratio.mean for each in found.layers) / 7)


def test_single_precision_is_near() -> None:
    images = photos(9)
    double, single = measured(images), measured(images, dtype=torch.float32)
    for each, other in zip(double.layers, single.layers, strict=True):
        torch.testing.assert_close(each.ratio.values, other.ratio.values, atol=1e-4, rtol=1e-4, equal_nan=True)


def test_averages_of_positions_are_of_the_distances() -> None:
    images = photos(8)
    kept = everything(network(), images, Rotations())
    for each in measured(images, "scalar", after="mean").layers:
        within, between = plain(kept[each.layer.name], whole=False)
        if within.ndim == 3:
            within, between = within.mean((1, 2)), between.mean((1, 2))
        torch.testing.assert_close(each.ratio.values, within / between, atol=1e-9, rtol=1e-9, equal_nan=True)


def test_maps_of_norm_one() -> None:
    images = photos(8)
    images[3] = 0  # with a bias below 0 a channel of it is 0 after the first ReLU
    kept = everything(network(), images, Rotations())
    found = {each.layer.name: each for each in measured(images, unit_norm=True).layers}
    for name in ("0", "2", "5"):
        norms = kept[name].flatten(3).norm(dim=3)
        expected = plain(kept[name] / norms.masked_fill(norms == 0, 1)[..., None, None], whole=True)
        torch.testing.assert_close(found[name].ratio.transformation, expected[0], atol=1e-9, rtol=1e-9)
        torch.testing.assert_close(found[name].ratio.sample, expected[1], atol=1e-9, rtol=1e-9)
        assert found[name].zero_maps == int((norms == 0).sum())
    assert found["2"].zero_maps > 0
    # a value without positions is as it was
    torch.testing.assert_close(found["7"].ratio.values, measured(images).layers[-1].ratio.values)


@pytest.mark.parametrize("shape", ["kept", "scalar"])
@pytest.mark.parametrize("change", [{"batch": 4}, {"batch": 12}, {"batch": 1000}, {"memory_gb": 0.00664}])
def test_batches_and_memory_change_nothing(shape: Shape, change: dict[str, Any]) -> None:
    images = photos(11)
    one, other = measured(images, shape), measured(images, shape, **change)
    assert one.passes == 2 and (other.passes > 2) == ("memory_gb" in change)
    for each, same in zip(one.layers, other.layers, strict=True):
        torch.testing.assert_close(each.ratio.values, same.ratio.values, atol=1e-12, rtol=1e-12, equal_nan=True)


def test_maps_turned_back() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(256, 3))
    kernel = torch.rand(4, 3, 3, 3)
    with torch.no_grad():
        model.get_parameter("0.weight").copy_(torch.stack([kernel.rot90(k, (2, 3)) for k in range(4)]).sum(0))
    shapes: tuple[Shape, ...] = ("kept", "scalar")
    for shape in shapes:
        plainly, back = (
            distances(
                Examination(model, photos(), Rotations(), setup=Setup(same_equivariance=same, dtype=torch.float64)),
                shape=shape,
            )
            for same in (False, True)
        )
        assert plainly.layers[0].ratio.mean > 0.5 and back.layers[0].ratio.mean < 1e-6
        assert back.layers[0].ratio.values.shape == ((4,) if shape == "kept" else (4, 64))


def test_dead_and_infinite_units_are_told_apart() -> None:
    alike = measured(photos(1).repeat(5, 1, 1, 1))
    for each in alike.layers:
        assert each.ratio.infinite > 0 and each.ratio.infinite + each.ratio.dead == each.ratio.values.numel()
    constant = measured(torch.full((5, 3, 8, 8), 90, dtype=torch.uint8), "scalar")
    assert all(each.ratio.dead == each.ratio.values.numel() for each in constant.layers)
    assert constant.over_layers() != constant.over_layers()


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
    with pytest.raises(UserError, match=r"shape=keep: did you mean 'kept'\?"):
        measured(photos(4), "keep")  # type: ignore[arg-type]
    with pytest.raises(UserError, match="after=mean: with shape=kept a map is one unit"):
        measured(photos(4), after="mean")
    both: tuple[tuple[Shape, str], ...] = (("scalar", "none"), ("kept", "sum"))
    for shape, before in both:
        with pytest.raises(UserError, match="unit_norm=true: only maps have a norm"):
            measured(photos(4), shape, unit_norm=True, before=before)
    with pytest.raises(UserError, match=r"memory_gb=0.001: one unit of layer '0' takes .* 0 are left"):
        measured(photos(4), memory_gb=0.001)
