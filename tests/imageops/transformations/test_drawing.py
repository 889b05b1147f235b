from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from src.imageops.transformations import RandomTransformation, transformation_set
from tests.imageops.transformations.conftest import ANGLES, EVERY, SCALES, drawn, random_images, title


def raw(count: int = 12, height: int = 18, width: int = 18) -> Tensor:
    return (random_images(count, height, width) * 255).round().to(torch.uint8)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("options", [*EVERY, {"family": "rot90"}], ids=title)
def test_each_image_goes_through_its_own_member(options: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    images, random = raw(), RandomTransformation(options)
    made = drawn(options, images, generator())
    assert made.dtype == torch.uint8 and made.shape == images.shape and made.is_contiguous()
    assert torch.equal(drawn(options, images, generator()), made)
    assert not torch.equal(drawn(options, images, generator(1)), made)
    parameters = random.draw(12, generator())
    assert parameters.shape[0] == 12 and len(parameters.unique(dim=0)) > 2
    assert torch.equal(random.apply(images.flip(0), parameters.flip(0)), made.flip(0))
    assert torch.equal(random.apply(images[4:5], parameters[4:5]), made[4:5])
    assert torch.equal(random.apply(images.contiguous(memory_format=torch.channels_last), parameters), made)
    monkeypatch.setattr("src.imageops.threads.CACHED", 1)
    assert torch.equal(random.apply(images, parameters), made)


@pytest.mark.parametrize("options", [*EVERY, {"family": "rot90"}], ids=title)
def test_a_member_does_to_bytes_what_it_does_in_the_grid(options: dict[str, Any]) -> None:
    """Rounded to whole grey levels."""
    random, images = RandomTransformation(options), raw()[:1]
    grid = random.family.grid()
    found = random.apply(images.expand(len(grid), -1, -1, -1), grid)
    expected = transformation_set(options)(images.double() / 255)[0] * 255
    assert float((found.double() - expected).abs().max()) < 0.51
    assert torch.equal(found[transformation_set(options).identity or 0], images[0])


def test_turns_by_90_degrees_are_exact() -> None:
    images, random = raw(40), RandomTransformation({"family": "rot90"})
    parameters = random.draw(40, generator())
    quarters = (parameters[:, 0] / 90).long().tolist()
    assert set(quarters) == {0, 1, 2, 3}
    expected = [torch.rot90(image, quarter, (1, 2)) for image, quarter in zip(images, quarters, strict=True)]
    assert torch.equal(random.apply(images, parameters), torch.stack(expected))


def test_ranges_are_used_evenly() -> None:
    """The quantiles of what is drawn."""

    def quantiles(options: dict[str, Any]) -> Tensor:
        found = RandomTransformation(options).draw(8000, generator())
        return found[:, 0].quantile(torch.tensor([0, 0.25, 0.5, 0.75, 1], dtype=torch.float64))

    def same(found: Tensor, *expected: float) -> None:
        wanted = torch.tensor(expected, dtype=torch.float64)
        torch.testing.assert_close(found, wanted, atol=0.02 * float(wanted[-1] - wanted[0]), rtol=0)

    same(quantiles({"family": "rotation"}), -180, -90, 0, 90, 180)
    same(quantiles(ANGLES), -70, -35, 0, 35, 70)
    same(quantiles({"family": "scale", "low": 0.25, "high": 4}).log2(), -2, -1, 0, 1, 2)
    same(quantiles({"family": "brightness", "low": 0.25, "high": 4}).log2(), -2, -1, 0, 1, 2)
    same(quantiles({"family": "shear", "degrees": 40}), -20, -10, 0, 10, 20)
    same(quantiles({"family": "translation", "shift": 0.2}), -0.2, -0.1, 0, 0.1, 0.2)
    same(quantiles({"family": "blur", "low": 1, "high": 3}), 1, 1.5, 2, 2.5, 3)
    same(quantiles({"family": "noise", "high": 0.2}), 0, 0.05, 0.1, 0.15, 0.2)


def test_shifts_in_four_directions_are_along_an_axis() -> None:
    shifts = RandomTransformation({"family": "translation", "directions": 4}).draw(500, generator())
    assert (shifts.count_nonzero(1) == 1).all() and 200 < int(shifts[:, 0].count_nonzero()) < 300
    assert (RandomTransformation({"family": "translation"}).draw(500, generator()).count_nonzero(1) == 2).all()


def test_every_flip_is_drawn_as_often() -> None:
    found = RandomTransformation({"family": "flips"}).draw(2000, generator())
    counts = found.unique(dim=0, return_counts=True)[1]
    assert len(counts) == 4 and int(counts.min()) > 420


def test_parts_are_drawn_independently() -> None:
    parts = [ANGLES, SCALES, {"family": "noise"}]
    found = RandomTransformation({"family": "composition", "parts": parts}).draw(2000, generator())
    assert found.shape == (2000, 4)
    assert float((torch.corrcoef(found.T) - torch.eye(4)).abs().max()) < 0.1


def test_drawn_noise_is_another_for_each_image() -> None:
    grey = torch.full((30, 3, 32, 32), 128, dtype=torch.uint8)
    made = drawn({"family": "noise", "low": 0.1, "high": 0.1}, grey, generator()).double() / 255
    patterns = made.flatten(1)
    torch.testing.assert_close(patterns.std(1), torch.full((30,), 0.1).double(), atol=0.01, rtol=0)
    assert float((torch.corrcoef(patterns) - torch.eye(30)).abs().max()) < 0.1


def test_the_global_stream_is_left_alone() -> None:
    state = torch.get_rng_state()
    for options in EVERY:
        drawn(options, raw(3), generator())
    assert torch.equal(torch.get_rng_state(), state)
