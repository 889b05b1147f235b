"""What holds for the sets of all families."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from src.imageops.threads import portions
from src.imageops.transformations import transformation_set
from tests.imageops.transformations.conftest import EVERY, GEOMETRIC, random_images, title

SQUARE = [*EVERY, {"family": "rot90"}, {"family": "rotation", "count": 6, "corners": "disc"}]


@pytest.mark.parametrize("options", SQUARE, ids=title)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_neither_the_batch_nor_the_members_around_it_change_an_image(
    options: dict[str, Any], dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    images, made = random_images(5, 20, 20).to(dtype), transformation_set(options)
    whole = made(images)
    assert whole.shape == (5, len(made), 3, 20, 20) and whole.dtype == dtype and whole.is_contiguous()
    assert torch.equal(made(images.contiguous(memory_format=torch.channels_last)), whole)
    assert torch.equal(made(images.flip(0)), whole.flip(0))
    assert torch.equal(made(images[3:4]), whole[3:4])
    assert torch.equal(made(images, slice(1, 3)), whole[:, 1:3])
    assert torch.equal(made(images, [2, 0, 2]), whole[:, [2, 0, 2]])
    assert torch.equal(made(images, [-1]), whole[:, -1:])
    monkeypatch.setattr("src.imageops.threads.CACHED", 1)
    assert torch.equal(made(images), whole)


@pytest.mark.parametrize("options", SQUARE, ids=title)
def test_maps_are_undone_one_by_one_too(options: dict[str, Any]) -> None:
    made = transformation_set(options)
    maps = torch.randn(4, len(made), 3, 10, 10)
    whole = made.undo(maps)
    assert whole.shape == maps.shape
    assert torch.equal(made.undo(maps[:, 1:3], slice(1, 3)), whole[:, 1:3])
    assert torch.equal(made.undo(maps[2:3]), whole[2:3])
    lined = maps.flatten(0, 1).contiguous(memory_format=torch.channels_last).unflatten(0, maps.shape[:2])
    assert torch.equal(made.undo(lined), whole)


@pytest.mark.parametrize("options", EVERY, ids=title)
def test_the_identity_changes_nothing(options: dict[str, Any]) -> None:
    images, made = random_images(), transformation_set(options)
    assert made.identity is not None
    assert torch.equal(made(images, [made.identity])[:, 0], images)
    maps = torch.randn(2, 1, 3, 8, 11)
    assert torch.equal(made.undo(maps, [made.identity]), maps)


@pytest.mark.parametrize("options", EVERY, ids=title)
def test_single_precision_is_double_precision_rounded(options: dict[str, Any]) -> None:
    images, made = random_images(), transformation_set(options)
    torch.testing.assert_close(made(images.float()), made(images).float(), atol=1e-4, rtol=0)


def test_images_are_left_as_they_are() -> None:
    images = random_images()
    before = images.clone()
    for options in EVERY:
        transformation_set(options)(images)
    assert torch.equal(images, before)


def test_many_sizes_of_maps_and_then_the_first_again() -> None:
    """More than are kept."""
    made = transformation_set(GEOMETRIC[0])
    maps = [torch.randn(1, 5, 1, side, side + 1) for side in range(4, 24)]
    first = [made.undo(one) for one in maps]
    assert all(torch.equal(made.undo(one), before) for one, before in zip(maps, first, strict=True))


def test_portions_cover_all_images() -> None:
    assert [*portions(5, 2**18, torch.device("cpu"))] == [slice(0, 2), slice(2, 4), slice(4, 5)]
    assert [*portions(2, 2**30, torch.device("cpu"))] == [slice(0, 1), slice(1, 2)]


def test_other_tensors_are_refused() -> None:
    made = transformation_set({"family": "blur"})
    with pytest.raises(ValueError, match="float"):
        made(torch.zeros(2, 3, 8, 8, dtype=torch.uint8))
    with pytest.raises(ValueError, match="float"):
        made(torch.zeros(3, 8, 8))
    with pytest.raises(ValueError, match="9, K, h, w"):
        made.undo(torch.zeros(2, 3, 4, 8, 8))
