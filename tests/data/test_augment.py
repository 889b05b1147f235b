from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from src.core.errors import UserError
from src.core.seeds import stream
from src.data.augment import (
    centre,
    channel_statistics,
    check_crop,
    checked,
    colour_components,
    crop_and_flip,
    draw,
    draw_colours,
    global_contrast,
    normalise,
    shift_colours,
    spare_of,
)


@pytest.fixture
def images() -> Tensor:
    return torch.randint(1, 256, (40, 3, 7, 9), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def naive(
    images: Tensor, down: Tensor, right: Tensor, flipped: Tensor, padding: int, crop: int | None = None, axis: int = 2
) -> Tensor:
    """One image at a time, by slices."""
    height, width = images.shape[2:]
    rows, columns = crop or height, crop or width
    made = []
    for image, top, left, mirrored in zip(images, down.tolist(), right.tolist(), flipped.tolist(), strict=True):
        padded = torch.zeros(3, height + 2 * padding, width + 2 * padding, dtype=images.dtype)
        padded[:, padding : padding + height, padding : padding + width] = image
        cut = padded[:, top : top + rows, left : left + columns]
        made.append(cut.flip(axis) if mirrored else cut)
    return torch.stack(made)


@pytest.mark.parametrize(("padding", "flip"), [(3, True), (2, False), (0, True)])
def test_equals_a_loop_over_the_images(images: Tensor, padding: int, flip: bool) -> None:
    draws = draw(40, crop_padding=padding, flip=flip, seed=1, epoch=2, step=3)
    assert torch.equal(crop_and_flip(images, draws, padding), naive(images, *draws, padding))


@pytest.mark.parametrize(("padding", "crop"), [(0, 5), (2, 7), (0, 7), (1, 3)])
@pytest.mark.parametrize("flip_axis", ["left_right", "up_down"])
def test_smaller_crops_and_the_other_axis_equal_the_loop(
    images: Tensor, padding: int, crop: int, flip_axis: str
) -> None:
    spare = spare_of(images, crop)
    assert spare == (7 - crop, 9 - crop)
    draws = draw(40, crop_padding=padding, flip=True, seed=1, epoch=2, step=3, spare=spare)
    expected = naive(images, *draws, padding, crop, 2 if flip_axis == "left_right" else 1)
    how: dict[str, Any] = {"crop_padding": padding, "crop": crop, "flip_axis": flip_axis}
    assert torch.equal(crop_and_flip(images, draws, **how), expected)
    assert expected.shape == (40, 3, crop, crop)


def test_the_draws_are_those_from_before_there_were_crops() -> None:
    generator = stream(1, "augment", 2, 3)
    offsets = torch.randint(0, 7, (2, 50), generator=generator)
    flipped = torch.rand(50, generator=generator) < 0.5
    draws = draw(50, crop_padding=3, flip=True, seed=1, epoch=2, step=3)
    assert torch.equal(torch.stack([draws.down, draws.right]), offsets) and torch.equal(draws.flipped, flipped)


def test_every_place_of_a_crop_is_drawn() -> None:
    """The last one too, which the thesis of these options left out (0 to 3 of 0 to 4)."""
    for spare in ((4, 4), (2, 4)):
        draws = draw(500, crop_padding=0, flip=False, seed=0, epoch=0, step=0, spare=spare)
        assert draws.down.unique().tolist() == list(range(spare[0] + 1))
        assert draws.right.unique().tolist() == list(range(spare[1] + 1))


def test_the_centre(images: Tensor) -> None:
    assert centre(images, None) is images
    assert torch.equal(centre(images, 4), images[:, :, 1:5, 2:6])
    assert torch.equal(centre(images[:, :, :, :7], 7), images[:, :, :, :7])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"flip_axis": "updown"}, r"data\.augment\.flip_axis=updown: allowed is left_right, up_down"),
        ({"flip": "yes"}, r"data\.augment\.flip=yes: allowed is true, false"),
        ({"crop": 0}, r"data\.augment\.crop=0: allowed is a whole number from 1"),
        ({"rgb_pca": -1.0}, r"data\.augment\.rgb_pca=-1\.0: allowed is a number from 0"),
    ],
)
def test_mistakes_are_named(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        checked(options)
    with pytest.raises(UserError, match=r"data\.augment\.crop=8: the images have 7x9 pixels; take at most 7"):
        check_crop(8, (3, 7, 9))


def test_is_a_pure_function_of_seed_epoch_and_step(images: Tensor) -> None:
    def make(seed: int = 0, epoch: int = 0, step: int = 0) -> Tensor:
        return crop_and_flip(images, draw(40, crop_padding=3, flip=True, seed=seed, epoch=epoch, step=step), 3)

    reference = make()
    torch.manual_seed(99)
    state = torch.get_rng_state()
    assert torch.equal(make(), reference)
    assert torch.equal(torch.get_rng_state(), state)  # nor does it touch the global stream
    assert not torch.equal(make(seed=1), reference)
    assert not torch.equal(make(epoch=1), reference)
    assert not torch.equal(make(step=1), reference)


def test_draws_are_independent_and_use_the_whole_range() -> None:
    draws = draw(2000, crop_padding=2, flip=True, seed=0, epoch=0, step=0)
    assert draws.down.unique().tolist() == draws.right.unique().tolist() == [0, 1, 2, 3, 4]
    assert 0.45 < float(draws.flipped.float().mean()) < 0.55
    assert abs(float(torch.corrcoef(torch.stack([draws.down, draws.right]).float())[0, 1])) < 0.1


@pytest.mark.parametrize("channels_last", [True, False])
def test_normalise(images: Tensor, channels_last: bool) -> None:
    before = images.clone()
    made = normalise(images, [0.1, 0.2, 0.3], [0.5, 0.6, 0.7], channels_last)
    mean, std = (torch.tensor(v).view(3, 1, 1) for v in ([0.1, 0.2, 0.3], [0.5, 0.6, 0.7]))
    torch.testing.assert_close(made, (images / 255 - mean) / std, rtol=1e-5, atol=1e-6)
    layout = torch.channels_last if channels_last else torch.contiguous_format
    assert made.dtype == torch.float32 and made.is_contiguous(memory_format=layout)
    assert torch.equal(images, before)


def test_channel_statistics(images: Tensor) -> None:
    mean, std = channel_statistics(images)
    values = images.double() / 255
    torch.testing.assert_close(torch.tensor(mean), values.mean((0, 2, 3)).float())
    torch.testing.assert_close(torch.tensor(std), values.std((0, 2, 3), correction=0).float())
    assert channel_statistics(torch.zeros(2, 1, 3, 3, dtype=torch.uint8)) == ([0.0], [1 / 255])


@pytest.mark.parametrize("channels_last", [True, False])
def test_global_contrast_is_of_each_image_over_all_its_values(images: Tensor, channels_last: bool) -> None:
    values = images.double() / 255
    centred = values - values.mean((1, 2, 3), keepdim=True)
    expected = (centred / centred.square().mean((1, 2, 3), keepdim=True).sqrt()).float()
    torch.testing.assert_close(global_contrast(images), expected, rtol=1e-4, atol=1e-5)
    made = normalise(images, [0.1, 0.2, 0.3], [0.5, 0.6, 0.7], channels_last, "global")
    mean, std = (torch.tensor(v).view(3, 1, 1) for v in ([0.1, 0.2, 0.3], [0.5, 0.6, 0.7]))
    torch.testing.assert_close(made, (expected - mean) / std, rtol=1e-4, atol=1e-5)
    layout = torch.channels_last if channels_last else torch.contiguous_format
    assert made.dtype == torch.float32 and made.is_contiguous(memory_format=layout)


@pytest.mark.parametrize("value", [0, 77, 255])
def test_global_contrast_of_one_single_value_is_nothing(value: int) -> None:
    assert not global_contrast(torch.full((2, 3, 223, 223), value, dtype=torch.uint8)).any()


def coloured(count: int = 60) -> Tensor:
    """Colours that vary most along (2, 1, 0)."""
    generator = torch.Generator().manual_seed(0)
    along = torch.randn(count, 1, 8, 8, generator=generator) * torch.tensor([2.0, 1.0, 0.0]).view(1, 3, 1, 1)
    noise = torch.randn(count, 3, 8, 8, generator=generator)
    return (100 + 15 * along + 3 * noise).round().clamp(0, 255).to(torch.uint8)


def test_components_are_the_principal_ones_of_all_pixels() -> None:
    some = coloured()
    found = colour_components(some)
    pixels = some.permute(1, 0, 2, 3).reshape(3, -1).numpy().astype(np.float64)
    np.testing.assert_allclose((found.T @ found).numpy(), np.cov(pixels, bias=True), atol=1e-3)
    lengths = found.norm(dim=1)
    assert torch.equal(lengths, lengths.sort().values)
    for first in range(3):
        for second in range(first):
            assert abs(float(found[first] @ found[second])) < 1e-2, "they are at right angles"
    direction = (found[2] / found[2].norm()).abs()
    torch.testing.assert_close(direction, torch.tensor([2.0, 1.0, 0.0]) / 5**0.5, atol=0.02, rtol=0)


def test_each_image_gets_one_colour_of_its_own() -> None:
    some = coloured(4).contiguous(memory_format=torch.channels_last)
    components = torch.tensor([[1.0, 0.0, 0.0], [0.0, 3.0, 0.0], [5.0, 10.0, 200.0]])
    shares = torch.tensor([[0.0, 0.0, 0.0], [2.0, 1.0, 0.0], [0.0, 0.0, 1.0], [0.3, 0.0, -1.0]])
    made = shift_colours(some, shares, components)
    for number, shift in enumerate(([0, 0, 0], [2, 3, 0], [5, 10, 200], [-5, -10, -200])):  # -4.7 is rounded
        expected = (some[number].int() + torch.tensor(shift).view(3, 1, 1)).clamp(0, 255)
        assert torch.equal(made[number].int(), expected)
    assert made.dtype == torch.uint8 and made.is_contiguous(memory_format=torch.channels_last)


def test_draws_are_normal_and_a_pure_function_of_the_moment() -> None:
    drawn = draw_colours(4000, 3, 0.1, seed=1, epoch=2, step=3)
    torch.testing.assert_close(drawn.std(0), torch.full((3,), 0.1), atol=0.005, rtol=0)
    torch.testing.assert_close(drawn.mean(0), torch.zeros(3), atol=0.01, rtol=0)
    assert torch.equal(drawn, draw_colours(4000, 3, 0.1, seed=1, epoch=2, step=3))
    for change in ({"seed": 0}, {"epoch": 0}, {"step": 0}):
        assert not torch.equal(drawn, draw_colours(4000, 3, 0.1, **({"seed": 1, "epoch": 2, "step": 3} | change)))
