"""Maps of moved images against moved maps."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch
from torch import Tensor, nn

from src.core.errors import UserError
from src.imageops.transformations import transformation_set
from src.methods.invariance.equivariance import LayerEquivariance, equivariance_distances
from src.methods.invariance.passes import Examination, Setup, Transformations
from tests.methods.invariance.sets import Members, Rotations, network, photos
from tests.methods.invariance.test_variance import everything


class QuarterTurns(Rotations):
    """By 90, 180 and 270 degrees, not by 0."""

    def __init__(self) -> None:
        super().__init__()
        self.names, self.identity = ("1", "2", "3"), None

    def _numbers(self, members: Members) -> Sequence[int]:
        return [1 + k for k in super()._numbers(members)]


def measured(
    images: Tensor, transformations: Transformations | None = None, model: nn.Module | None = None
) -> list[LayerEquivariance]:
    setup = Setup(same_equivariance=True, dtype=torch.float64)
    return equivariance_distances(Examination(model or network(), images, transformations or Rotations(), setup=setup))


def test_equal_to_the_moved_map_of_the_still_image() -> None:
    images = photos(7)
    kept = everything(network(), images, Rotations())
    found = measured(images)
    assert [each.layer.name for each in found] == ["0", "1", "2", "3", "4", "5"]
    for each in found:
        maps = kept[each.layer.name]  # (S, T, K, h, w)
        turned = torch.stack([maps[:, 0].rot90(k, (2, 3)) for k in range(4)], 1)
        expected = (maps - turned).square().mean((3, 4)).sqrt().mean((0, 1))
        torch.testing.assert_close(each.distance, expected, atol=1e-9, rtol=1e-9)
        normed = []
        for values in (maps, turned):
            norms = values.flatten(3).norm(dim=3)[..., None, None]
            normed.append(values / norms.masked_fill(norms == 0, 1))
        expected = (normed[0] - normed[1]).square().mean((3, 4)).sqrt().mean((0, 1))
        torch.testing.assert_close(each.relative, expected, atol=1e-9, rtol=1e-9)
        assert each.zero_maps == int((maps == 0).all(-1).all(-1).sum())


def test_without_a_member_that_changes_nothing() -> None:
    """The fourth, by 0 degrees, adds a distance of 0."""
    for three, four in zip(measured(photos(6), QuarterTurns()), measured(photos(6)), strict=True):
        torch.testing.assert_close(3 * three.distance, 4 * four.distance, atol=1e-12, rtol=1e-12)
        torch.testing.assert_close(3 * three.relative, 4 * four.relative, atol=1e-12, rtol=1e-12)


def test_symmetric_kernels_move_with_the_image() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(256, 3))
    kernel = torch.rand(4, 3, 3, 3)
    assert float(measured(photos(), model=model)[0].distance.min()) > 0.01
    with torch.no_grad():
        model.get_parameter("0.weight").copy_(torch.stack([kernel.rot90(k, (2, 3)) for k in range(4)]).sum(0))
    for each in measured(photos(), model=model):
        assert float(each.distance.max()) < 1e-6 and float(each.relative.max()) < 1e-6


def test_twice_as_large_maps_are_twice_as_far_apart_but_not_relatively() -> None:
    model = nn.Sequential(nn.Conv2d(3, 2, 3, padding=1), nn.Flatten(), nn.Linear(128, 3))
    before = measured(photos(), model=model)[0]
    with torch.no_grad():
        for values in model[0].parameters():
            values.mul_(2)
    after = measured(photos(), model=model)[0]
    torch.testing.assert_close(after.distance, 2 * before.distance, atol=1e-12, rtol=1e-12)
    torch.testing.assert_close(after.relative, before.relative, atol=1e-12, rtol=1e-12)


def test_positions_that_leave_the_image_are_not_compared() -> None:
    """A layer of 2x2 maps has none that stays under rotations by 45 degrees."""
    rotations = transformation_set({"family": "rotation", "degrees": 360, "count": 8})
    found = {each.layer.name: each for each in measured(photos(5, size=16), rotations, _two_sizes())}
    assert list(found) == ["0"] and bool(found["0"].distance.isfinite().all())


def _two_sizes() -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 2, 3, padding=1), nn.AvgPool2d(8), nn.Flatten(), nn.Linear(8, 2))


def test_bad_input() -> None:
    for setup in (Setup(), Setup(same_equivariance=True, before="mean")):
        with pytest.raises(UserError, match="same_equivariance: this distance is one of whole maps"):
            equivariance_distances(Examination(network(), photos(4), Rotations(), setup=setup))
