from __future__ import annotations

from typing import Any, cast

import numpy as np
import pytest
import torch
from PIL import Image
from scipy import ndimage
from torch import Tensor

from src.imageops.transformations import TransformationSet, transformation_set
from tests.imageops.transformations.conftest import (
    ANGLES,
    COMPOSED,
    GEOMETRIC,
    SCALES,
    SHEARS,
    matrix,
    random_images,
    title,
)


def by_scipy(image: Tensor, forward: np.ndarray, mode: str, fill: float = 0.0) -> np.ndarray:
    """An image (C, H, W) through a map (3, 3) about its middle, in x and y."""
    back = np.linalg.inv(forward)
    swapped = back[[1, 0]][:, [1, 0, 2]]  # scipy counts rows first
    middle = (np.array(image.shape[1:]) - 1) / 2
    offset = middle - swapped[:, :2] @ middle + swapped[:, 2]
    return np.stack(
        [
            ndimage.affine_transform(plane, swapped[:, :2], offset, order=1, mode=mode, cval=fill)
            for plane in image.numpy()
        ]
    )


@pytest.mark.parametrize(("corners", "mode"), [("fill", "grid-constant"), ("reflect", "reflect")])
@pytest.mark.parametrize("options", GEOMETRIC, ids=title)
def test_is_scipys_affine_transform(options: dict[str, Any], corners: str, mode: str) -> None:
    images, family = random_images(2), options["family"]
    how = {} if family == "flips" else {"corners": corners, "fill": 0.3}
    made = transformation_set(options | how)
    found = made(images)
    for image, rows in zip(images, found, strict=True):
        for value, one in zip(made.values, rows, strict=True):
            expected = by_scipy(image, matrix(family, value, 19, 26), mode, 0.3)
            np.testing.assert_allclose(one.numpy(), expected, atol=1e-12)


def test_a_composition_is_the_product_of_the_matrices_in_order() -> None:
    images, made = random_images(1), transformation_set(COMPOSED | {"fill": 0.6})
    assert len(made) == 3 * 5 * 4 == len(made.values)
    families = [part["family"] for part in COMPOSED["parts"]]
    for value, one in zip(made.values, made(images)[0], strict=True):
        forward = np.eye(3)
        for family, own in zip(families, cast(tuple[Any, ...], value), strict=True):
            forward = matrix(family, own, 19, 26) @ forward
        expected = by_scipy(images[0], forward, "grid-constant", 0.6)
        np.testing.assert_allclose(one.numpy(), expected, atol=1e-12)


def test_rotations_are_counterclockwise_as_pils() -> None:
    picture = ndimage.gaussian_filter(random_images(1, 40, 40, 1)[0, 0].numpy(), 1.5)
    picture = np.round(255 * (picture - picture.min()) / np.ptp(picture)).astype(np.uint8)
    made = transformation_set({"family": "rotation", "degrees": 140, "count": 5})
    found = made(torch.from_numpy(picture).double()[None, None] / 255)[0, :, 0] * 255
    y, x = np.mgrid[:40, :40] - 19.5
    inside = x**2 + y**2 < 18**2
    for angle, one in zip(made.values, found.numpy(), strict=True):
        expected = np.asarray(Image.fromarray(picture).rotate(cast(float, angle), Image.Resampling.BILINEAR))
        assert np.abs(one - expected)[inside].max() <= 1  # of 255: PIL's are whole numbers


def test_multiples_of_90_degrees_are_exact() -> None:
    images = random_images(3, 32, 32).float()
    turns, group = transformation_set({"family": "rotation", "count": 16}), transformation_set({"family": "rot90"})
    assert group.names == ("0°", "90°", "180°", "270°") and group.values == (0.0, 90.0, 180.0, 270.0)
    maps = torch.rand(3, 16, 5, 8, 8)
    for quarter in range(4):
        expected = torch.rot90(images, quarter, (2, 3))
        member = turns.values.index([0.0, 90.0, -180.0, -90.0][quarter])
        assert torch.equal(group(images)[:, quarter], expected)
        assert torch.equal(turns(images)[:, member], expected)
        assert torch.equal(group.undo(group(images))[:, quarter], images)
        back = torch.rot90(maps[:, member], -quarter, (2, 3))
        assert torch.equal(turns.undo(maps)[:, member], back)


def test_flips_are_exact() -> None:
    images, flips = random_images(), transformation_set({"family": "flips"})
    assert flips.names == ("identity", "left_right", "up_down", "both") and flips.identity == 0
    expected = [images, images.flip(3), images.flip(2), images.flip(2, 3)]
    assert torch.equal(flips(images), torch.stack(expected, 1))
    assert torch.equal(flips.undo(flips(images)), images[:, None].expand(-1, 4, -1, -1, -1))


def test_shifts_by_whole_pixels_move_whole_pixels() -> None:
    images = random_images(2, 16, 16)
    pixels = transformation_set({"family": "translation", "shift": 4, "side": 16, "count": 2})
    shares = transformation_set({"family": "translation", "shift": 0.25, "count": 2})
    assert pixels.unit == "px" and shares.unit == "of the side" and len(pixels) == 17
    torch.testing.assert_close(pixels(images), shares(images))
    padded = torch.nn.functional.pad(images, (4, 4, 4, 4))
    for shift, one in zip(pixels.values, pixels(images).unbind(1), strict=True):
        right, down = (4 - int(pixels) for pixels in cast(tuple[float, float], shift))
        torch.testing.assert_close(one, padded[:, :, down : down + 16, right : right + 16], atol=1e-12, rtol=0)


def ramp(height: int, width: int) -> Tensor:
    """What bilinear interpolation does not change: values linear in the place, of 0..1, in three directions."""
    y, x = torch.meshgrid(
        torch.arange(height).double() - (height - 1) / 2, torch.arange(width).double() - (width - 1) / 2, indexing="ij"
    )
    return torch.stack([x, y, x - 2 * y]) / (4 * max(height, width)) + 0.5


@pytest.mark.parametrize("size", [(24, 36), (16, 24), (30, 45)])
@pytest.mark.parametrize("options", [*GEOMETRIC, COMPOSED], ids=title)
def test_undoing_is_the_exact_inverse_on_maps_of_any_size(options: dict[str, Any], size: tuple[int, int]) -> None:
    """Where the image is linear in the place, and so is what a shift in widths and heights makes of it."""
    made, image = transformation_set(options), ramp(*size)
    where = made.valid(*size)
    assert int(where.sum()) > 3
    back = made.undo(made(image[None]))
    expected = image[:, where].expand(1, len(made), -1, -1)
    torch.testing.assert_close(back[..., where], expected, atol=1e-9, rtol=0)


def test_parts_are_undone_in_reversed_order() -> None:
    parts = [ANGLES, {"family": "translation", "shift": 0.2, "count": 1}]
    made = transformation_set({"family": "composition", "parts": parts})
    wrong = transformation_set({"family": "composition", "parts": parts[::-1]})
    image, member = ramp(24, 36), made.names.index("70°, right 0.2")
    other = wrong.names.index("right 0.2, 70°")
    where = made.valid(24, 36)
    there = made(image[None], [member])
    assert float((made.undo(there, [member])[0, 0] - image)[:, where].abs().max()) < 1e-12
    assert float((wrong.undo(there, [other])[0, 0] - image)[:, where].abs().max()) > 0.05


def test_names_values_and_identity() -> None:
    turns = transformation_set({"family": "rotation", "count": 16})
    assert turns.values == tuple(22.5 * step for step in range(-8, 8)) and turns.identity == 8
    assert turns.names[0] == "-180°" and turns.names[9] == "22.5°" and (turns.family, turns.unit) == ("rotation", "°")
    assert transformation_set({"family": "rotation", "count": 3}).values == (-120.0, 0.0, 120.0)
    part = transformation_set({"family": "rotation", "degrees": 90, "count": 3})
    assert part.values == (-45.0, 0.0, 45.0) and part.identity == 1
    assert transformation_set({"family": "rotation", "degrees": 90, "count": 2}).identity is None
    scales = transformation_set({"family": "scale", "low": 0.25, "high": 4, "count": 5})
    assert scales.values == (0.25, 0.5, 1.0, 2.0, 4.0) and scales.names[1] == "×0.5" and scales.identity == 2
    assert transformation_set(SCALES).values == pytest.approx((0.7, 1, 1.5**0.5, 1.5))
    assert transformation_set(SCALES | {"low": 0.01, "high": 1.5}).values == pytest.approx((0.01, 0.1, 1, 1.5))
    assert transformation_set(SCALES | {"low": 1, "high": 8}).values == pytest.approx((1, 2, 4, 8))
    assert transformation_set(SHEARS).values == (-30.0, -15.0, 0.0, 15.0, 30.0)
    moves = transformation_set({"family": "translation", "shift": 0.5, "count": 2, "directions": 4})
    assert moves.names[:3] == ("0", "right 0.25", "down 0.25") and moves.identity == 0
    assert moves.values[5:] == ((0.5, 0.0), (0.0, 0.5), (-0.5, 0.0), (0.0, -0.5))
    both = transformation_set({"family": "composition", "parts": [ANGLES, SCALES]})
    assert both.names[1] == "-70°, ×1" and both.values[1] == (-70.0, 1.0)
    assert both.names[both.identity or 0] == "0°, ×1" and both.family == "rotation+scale" and both.unit == "°, ×"


@pytest.mark.parametrize("options", [{"family": "rotation", "count": 16}, COMPOSED], ids=title)
def test_where_the_image_alone_is_seen(options: dict[str, Any]) -> None:
    """There what lies beyond the border makes no difference, wherever it might come in."""
    images = random_images(2, 25, 25)
    filled, mirrored = transformation_set(options), transformation_set(options | {"corners": "reflect"})
    where = filled.valid(25, 25)
    assert torch.equal(where, transformation_set(options | {"fill": 1.0}).valid(25, 25))
    assert torch.equal(where, mirrored.valid(25, 25)) and where[12, 12] and not where[0, 0]
    maps = images[:, None].expand(-1, len(filled), -1, -1, -1)
    made: list[list[Tensor]] = [[one(images), one.undo(maps), one.undo(one(images))] for one in (filled, mirrored)]
    for first, second in zip(*made, strict=True):
        torch.testing.assert_close(first[..., where], second[..., where], atol=1e-9, rtol=0)
        assert not torch.allclose(first, second)


def test_it_is_the_inscribed_disc_for_rotations_and_everything_for_quarter_turns() -> None:
    y, x = torch.meshgrid(torch.arange(33.0) - 16, torch.arange(33.0) - 16, indexing="ij")
    radius = (x**2 + y**2).sqrt()
    where = transformation_set({"family": "rotation", "count": 64}).valid(33, 33)
    assert where[radius < 14.5].all() and not where[radius > 16.5].any()
    disc = transformation_set({"family": "rotation", "count": 64, "corners": "disc"}).valid(33, 33)
    assert disc[radius < 14.5].all() and not disc[radius > 16.5].any()
    assert transformation_set({"family": "rot90"}).valid(33, 33).all()
    assert transformation_set({"family": "flips"}).valid(20, 33).all()
    quarter = transformation_set({"family": "translation", "shift": 0.25, "count": 1}).valid(16, 16)
    assert torch.equal(quarter.nonzero().amin(0), torch.tensor([4, 4])) and int(quarter.sum()) == 64


def turned(images: Tensor, **how: Any) -> tuple[TransformationSet, Tensor]:
    made = transformation_set({"family": "rotation", "degrees": 90, "count": 3, **how})
    return made, made(images)


def test_corners_are_filled_mirrored_or_outside_the_disc() -> None:
    images = random_images(2, 20, 20) * 0.5 + 0.25
    filled = turned(images, fill=0.9)[1]
    assert torch.allclose(filled[:, 0, :, 0, 0], torch.tensor(0.9).double())
    assert torch.equal(filled[:, 1], images) and float(turned(images)[1][:, 0, :, 0, 0].abs().max()) == 0
    mirrored = turned(images, corners="reflect")[1]
    assert float(mirrored.min()) >= 0.25 and float(mirrored.max()) <= 0.75
    disc = turned(images, corners="disc", fill=0.1)[1]
    y, x = torch.meshgrid(torch.arange(20) - 9.5, torch.arange(20) - 9.5, indexing="ij")
    outside = x**2 + y**2 > 100
    assert (disc[..., outside] == 0.1).all() and torch.equal(disc[..., ~outside], mirrored[..., ~outside])
    quarters = transformation_set({"family": "rotation", "count": 4, "corners": "disc"})(images)
    assert not quarters[..., outside].any()


@pytest.mark.parametrize("corners", ["fill", "reflect", "disc"])
def test_a_constant_image_stays_one_where_it_is_seen(corners: str) -> None:
    constant = torch.full((1, 1, 15, 15), 0.4)
    made = transformation_set(COMPOSED | {"corners": corners, "fill": 0.4})
    torch.testing.assert_close(made(constant), torch.full((1, len(made), 1, 15, 15), 0.4))
