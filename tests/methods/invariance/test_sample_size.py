"""Parts of images and transformations against all."""

from __future__ import annotations

import pytest
import torch

from src.core.errors import UserError
from src.methods.invariance.passes import Examination
from src.methods.invariance.sample_size import ALL_LAYERS, relative_error, sample_size
from src.methods.invariance.variance import variances
from tests.methods.invariance.sets import Rotations, network, photos


def activations(images: int = 400, transformations: int = 16) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)

    def draw(share: float) -> torch.Tensor:
        values = torch.randn(images, 1, 6, generator=generator)
        return values + share * torch.randn(images, transformations, 6, generator=generator)

    return {"one": draw(0.3), "two": draw(1.0)}


def test_all_of_them_have_no_error() -> None:
    found = variances(Examination(network(), photos(12), Rotations()), kept_units=1000)
    rows = sample_size({each.layer.name: each.kept for each in found.layers}, [12], [4], repeats=2)
    assert len(rows) == 2 * (7 + 1) and all(row.error == 0 for row in rows)
    for row, each in zip(rows, found.layers, strict=False):
        assert row.layer == each.layer.name and row.value == pytest.approx(each.ratio.mean, rel=1e-4)
    assert rows[7].layer == ALL_LAYERS and rows[7].value == pytest.approx(found.over_layers(), rel=1e-4)


def test_errors_shrink_with_images_and_transformations() -> None:
    rows = sample_size(activations(), [10, 50, 400], [2, 16], repeats=10)
    assert len(rows) == 3 * 2 * 10 * 3

    def error(images: int, transformations: int) -> float:
        found = [row.error for row in rows if row[1:3] == (images, transformations) and row.layer == ALL_LAYERS]
        return sum(found) / len(found)

    assert error(10, 16) > 2 * error(50, 16) > 0 == error(400, 16)
    assert error(400, 2) > 0.05  # the standard deviation of two is a fifth too small on average


def test_parts_differ_by_repeat_but_not_by_call() -> None:
    one, two = (sample_size(activations(), [20], [4, 8], repeats=3) for _ in range(2))
    assert one == two and len({row.value for row in one}) == len(one)
    assert sample_size(activations(), [20], [8], repeats=2) == [row for row in one if row[2] == 8 and row.repeat < 2]
    assert sample_size(activations(), [20], [4, 8], repeats=3, seed=1) != one


def test_a_part_is_its_images_and_transformations() -> None:
    """With two transformations that do nothing a part of both is invariant, and each pair else is not."""
    values = torch.randn(50, 1, 3).repeat(1, 3, 1)
    values[:, 2] = torch.randn(50, 3)
    found = {row.value > 0.1 for row in sample_size({"": values}, [50], [2], repeats=20) if row.layer == ""}
    assert found == {True, False}


def test_stated_values() -> None:
    assert relative_error(0.0, 0.0) == 0 and relative_error(1.0, 0.0) == 1 and relative_error(1.0, 3.0) == 0.5
    rows = sample_size({"dead": torch.ones(6, 3, 2), "one": torch.rand(6, 3, 2)}, [4], [2], repeats=1)
    assert rows[0].error != rows[0].error and rows[2].error == rows[1].error
    for images, transformations in (([1], [2]), ([7], [2]), ([4], [1]), ([4], [4])):
        with pytest.raises(UserError, match=r"were asked for; a part has 2\.\."):
            sample_size({"one": torch.rand(6, 3, 2)}, images, transformations)
