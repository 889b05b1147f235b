from __future__ import annotations

import io
import math

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor
from torchvision.transforms import functional

from src.core.errors import UserError
from src.imageops.filters import gaussian
from src.methods.robustness.corruptions import EXTRA, KIND_OF, NAMES, SEVERITIES, corrupt, corrupted, preset_of
from src.methods.robustness.severities import LARGE, SMALL

#: after which severities the published parameters do not make the images worse, or (frost, fog) hardly so
NOT_MONOTONE = {
    ("saturate", "small"): {2, 3},
    ("saturate", "large"): {2},
    ("glass_blur", "small"): {1, 2, 4},
    ("glass_blur", "large"): {1, 3},
    ("elastic_transform", "small"): {1, 2, 3, 4},
    ("elastic_transform", "large"): {2},
    ("snow", "large"): {2},
    ("frost", "small"): {3},
    ("frost", "large"): {3, 4},
    ("fog", "large"): {4},
    ("pixelate", "large"): {3},
}


def pictures(count: int, channels: int, height: int, width: int, seed: int = 0) -> Tensor:
    """Soft shapes with detail at every scale, in all colours."""
    generator = torch.Generator().manual_seed(seed)
    layers = [torch.randn(count, channels, height, width, generator=generator) for _ in range(5)]
    made = sum(2**k * gaussian(layer, 0.5 * 2**k) for k, layer in enumerate(layers))
    return (made * 40 + 128).clamp(0, 255).to(torch.uint8)


def flat(level: int, count: int = 50, channels: int = 3, side: int = 32) -> Tensor:
    return torch.full((count, channels, side, side), level, dtype=torch.uint8)


def test_the_nineteen_of_the_benchmark() -> None:
    assert len(NAMES) == len(set(NAMES)) == 19 and set(KIND_OF) == set(SMALL) == set(LARGE) == set(NAMES)
    assert sum(name not in EXTRA for name in NAMES) == 15
    assert {kind: sum(k == kind for k in KIND_OF.values()) for kind in KIND_OF.values()} == {
        "noise": 4, "blur": 5, "weather": 5, "digital": 5
    }  # fmt: skip
    assert all(len(levels) == 5 for preset in (SMALL, LARGE) for levels in preset.values())


def test_zoom_factors_are_as_many_as_the_published_ranges_have() -> None:
    # numpy.arange(1, 1.06, 0.01) has seven numbers, as its end is a trifle above six steps
    for factors, end in zip(SMALL["zoom_blur"], (1.06, 1.11, 1.16, 1.21, 1.26), strict=True):
        assert factors == pytest.approx(np.arange(1, end, 0.01).tolist())
    steps = ((1.11, 0.01), (1.16, 0.01), (1.21, 0.02), (1.26, 0.02), (1.31, 0.03))
    for factors, (end, step) in zip(LARGE["zoom_blur"], steps, strict=True):
        assert factors == pytest.approx(np.arange(1, end, step).tolist())


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("shape", [(3, 3, 32, 32), (2, 1, 16, 37), (2, 3, 130, 101)])
def test_is_a_pure_function_that_keeps_shape_and_type(name: str, shape: tuple[int, ...]) -> None:
    images = pictures(*shape)
    before = images.clone()
    for severity in (1, 5):
        made = corrupt(images, name, severity, seed=3)
        torch.manual_seed(99)
        state = torch.get_rng_state()
        assert torch.equal(corrupt(images, name, severity, seed=3), made)
        assert torch.equal(torch.get_rng_state(), state)
        assert made.dtype == torch.uint8 and made.shape == images.shape
        assert made.is_contiguous()
        if not (name == "saturate" and shape[1] == 1):
            assert not torch.equal(made, images)
    assert torch.equal(images, before)


@pytest.mark.parametrize("name", NAMES)
def test_seed_enters_where_there_is_chance(name: str) -> None:
    images = pictures(4, 3, 32, 32)
    certain = {"defocus_blur", "gaussian_blur", "zoom_blur", "brightness", "contrast", "saturate", "jpeg_compression",
               "pixelate"}  # fmt: skip
    same = torch.equal(corrupt(images, name, 3, seed=0), corrupt(images, name, 3, seed=1))
    assert same == (name in certain)


@pytest.mark.parametrize("preset", ["small", "large"])
@pytest.mark.parametrize("name", NAMES)
def test_images_get_worse_with_severity(name: str, preset: str) -> None:
    images = pictures(48 if preset == "small" else 8, 3, *((32, 32) if preset == "small" else (120, 120)))
    distances = [float((corrupt(images, name, s, preset=preset).float() - images).square().mean()) for s in SEVERITIES]
    exempt = NOT_MONOTONE.get((name, preset), set())
    for severity in range(1, 5):
        if severity not in exempt:
            assert distances[severity] > distances[severity - 1], (severity, distances)


@pytest.mark.parametrize("name", NAMES)
def test_blocks_leave_no_seam(name: str) -> None:
    """More images than are worked on at once: each is corrupted, and by its own random numbers."""
    images = pictures(1, 3, 96, 96).expand(40, -1, -1, -1)  # blocks of 18
    made = corrupt(images, name, 4)
    clean = (made == images).flatten(1).float().mean(1)
    assert clean.max() < 0.99
    if not torch.equal(made[0], made[1]):
        assert len(made.flatten(1).unique(dim=0)) > 20  # close directions of motion take the same pixels


def test_chunks_are_the_same_however_many_are_taken() -> None:
    images = pictures(25, 3, 32, 32)
    whole = list(corrupted(images, "gaussian_noise", 2, seed=4, batch=10))
    assert [len(chunk) for chunk in whole] == [10, 10, 5]
    again = corrupted(images, "gaussian_noise", 2, seed=4, batch=10)
    next(again)
    assert torch.equal(next(again), whole[1])
    noise = [chunk.int() - part for chunk, part in zip(whole, images.split(10), strict=True)]
    assert not torch.equal(noise[0], noise[1])
    assert not torch.equal(next(corrupted(images, "gaussian_noise", 2, seed=5, batch=10)), whole[0])


@pytest.mark.parametrize("severity", [1, 5])
def test_gaussian_noise_has_the_published_std(severity: int) -> None:
    noise = corrupt(flat(128), "gaussian_noise", severity).float()
    # rounding down takes half a level off the mean, and adds 1/12 to the variance
    assert float(noise.mean()) == pytest.approx(127.5, abs=0.5)
    std = 255 * SMALL["gaussian_noise"][severity - 1][0]
    assert float(noise.std()) == pytest.approx(math.sqrt(std**2 + 1 / 12), rel=0.01)


@pytest.mark.parametrize(("preset", "photons"), [("small", 50), ("large", 60)])
def test_shot_noise_has_poissons_variance(preset: str, photons: int) -> None:
    noise = corrupt(flat(102), "shot_noise", 5 if preset == "small" else 1, preset=preset).double() / 255
    assert float(noise.mean()) == pytest.approx(0.4 - 0.5 / 255, abs=1e-3)
    assert float(noise.var()) == pytest.approx(0.4 / photons, rel=0.02)


def test_shot_noise_of_few_photons_has_poissons_frequencies() -> None:
    counts = (corrupt(flat(255, 100), "shot_noise", 5, preset="large").double() / 255 * 3).round()
    # three photons on average; three and more are white
    for count, share in ((0, 0.0498), (1, 0.1494), (2, 0.2240), (3, 0.5768)):
        assert float((counts == count).double().mean()) == pytest.approx(share, abs=0.004)


@pytest.mark.parametrize("severity", [1, 5])
def test_impulse_noise_has_as_much_salt_as_pepper(severity: int) -> None:
    made = corrupt(flat(100), "impulse_noise", severity)
    share = SMALL["impulse_noise"][severity - 1][0]
    for level in (0, 255):
        assert float((made == level).double().mean()) == pytest.approx(share / 2, rel=0.1)
    assert float((made == 100).double().mean()) == pytest.approx(1 - share, abs=0.005)


def test_speckle_noise_grows_with_the_value() -> None:
    dark, bright = (corrupt(flat(level), "speckle_noise", 3).double().std() for level in (40, 120))
    assert float(bright) == pytest.approx(120 * 0.12, rel=0.02)
    assert float(bright / dark) == pytest.approx(3, rel=0.02)


@pytest.mark.parametrize("name", [name for name, kind in KIND_OF.items() if kind == "blur"] + ["elastic_transform"])
@pytest.mark.parametrize("preset", ["small", "large"])
def test_blurs_leave_a_flat_image(name: str, preset: str) -> None:
    made = corrupt(flat(113, 3, side=64), name, 3, preset=preset)
    assert (made.int() - 113).abs().max() <= 1


@pytest.mark.parametrize("name", ["defocus_blur", "gaussian_blur", "glass_blur", "zoom_blur"])
def test_blurs_keep_the_mean_and_lose_detail(name: str) -> None:
    images = pictures(20, 3, 64, 64)
    made = corrupt(images, name, 5).float()
    assert abs(float(made.mean() - images.float().mean())) < 2
    assert made.diff(dim=3).abs().mean() < 0.85 * images.float().diff(dim=3).abs().mean()


def test_brightness_adds_the_published_shift_to_grey() -> None:
    for severity, (shift,) in enumerate(SMALL["brightness"], start=1):
        made = corrupt(flat(100, 1), "brightness", severity)
        assert made.unique().tolist() == [math.floor(100 + 255 * shift + 1e-3)]


def test_contrast_multiplies_the_differences_from_the_mean() -> None:
    images = pictures(20, 3, 32, 32)
    for severity, (factor,) in enumerate(SMALL["contrast"], start=1):
        made = corrupt(images, "contrast", severity).float()
        assert float(made.std((2, 3)).mean()) == pytest.approx(
            factor * float(images.float().std((2, 3)).mean()), rel=0.02
        )


@pytest.mark.parametrize("shape", [(3, 32, 32), (1, 28, 28), (3, 33, 47), (1, 17, 30), (3, 224, 224)])
def test_jpeg_is_pillows_to_the_bit(shape: tuple[int, int, int]) -> None:
    images = pictures(3, *shape)
    levels = SMALL if preset_of(*shape[1:]) == "small" else LARGE
    for severity, (quality,) in enumerate(levels["jpeg_compression"], start=1):
        for image, made in zip(images, corrupt(images, "jpeg_compression", severity), strict=True):
            file = io.BytesIO()
            functional.to_pil_image(image).save(file, "JPEG", quality=quality)
            assert torch.equal(functional.pil_to_tensor(Image.open(file)), made)


def test_fog_lightens_black_up_to_its_share_of_the_range() -> None:
    images = flat(0, 20)
    images[:, :, 0, 0] = 255
    made = corrupt(images, "fog", 5)[:, :, 1:].float()
    # clouds of 0..1.5, and all of it over 2.5
    assert made.amax((1, 2, 3)).min() > 100 and made.max() <= 255 * 1.5 / 2.5
    assert torch.equal(made[:, 0], made[:, 2])


def test_snow_falls_and_only_lightens() -> None:
    images = pictures(10, 3, 64, 64)
    made = corrupt(images, "snow", 3, preset="large")
    assert (made.int() - images >= -1).all()
    flakes = corrupt(flat(0, 40, side=64), "snow", 3, preset="large").float()
    assert flakes.diff(dim=2).abs().mean() < 0.8 * flakes.diff(dim=3).abs().mean()  # drawn out downwards


def test_frost_on_black_is_its_share_of_the_ice() -> None:
    made = corrupt(flat(0, 400), "frost", 1).float()
    # the pictures' mean colour is (146, 167, 178.8); half a level is lost to rounding down
    assert made.mean((0, 2, 3)).tolist() == pytest.approx([0.2 * mean - 0.5 for mean in (146, 167, 178.8)], abs=1)


def test_water_lightens_and_mud_covers() -> None:
    water = corrupt(flat(90, 20), "spatter", 3)
    changed = (water != 90).any(1)
    assert (water >= 90).all() and 0.05 < changed.float().mean() < 0.7
    mud = corrupt(flat(90, 20), "spatter", 5)
    covered = (mud != 90).any(1)
    assert 0.01 < covered.float().mean() < 0.5
    darkest = mud.movedim(1, 3)[covered].float().amin(0)
    assert darkest.tolist() == pytest.approx([63, 42, 20], abs=1)


def test_spatter_without_a_drop_leaves_the_image() -> None:
    images = pictures(200, 3, 16, 16)
    made = corrupt(images, "spatter", 1)
    assert (made == images).flatten(1).all(1).any()  # in 16x16 pixels there often is none


def test_the_preset_follows_the_size() -> None:
    assert preset_of(32, 32) == preset_of(96, 200) == "small"
    assert preset_of(97, 97) == preset_of(224, 224) == "large"
    images = pictures(2, 3, 97, 97)
    assert torch.equal(corrupt(images, "contrast", 2), corrupt(images, "contrast", 2, preset="large"))
    assert not torch.equal(corrupt(images, "contrast", 2), corrupt(images, "contrast", 2, preset="small"))


def test_lengths_of_the_elastic_transform_follow_the_side() -> None:
    """All others are in pixels."""
    ramps = [torch.arange(side).expand(30, 1, side, side).mul(255 // side).to(torch.uint8) for side in (32, 64)]
    shifts = [
        (corrupt(ramp, "elastic_transform", 5).float() - ramp)[:, :, 8:-8, 8:-8].std() / (255 // len(ramp[0, 0]))
        for ramp in ramps
    ]
    assert 1.5 < float(shifts[1] / shifts[0]) < 2.5


def test_no_images_are_no_images() -> None:
    for name in NAMES:
        assert corrupt(torch.empty(0, 3, 32, 32, dtype=torch.uint8), name, 1).shape == (0, 3, 32, 32)


@pytest.mark.parametrize(
    ("images", "words"),
    [
        (torch.zeros(2, 3, 32, 32), "images: float32"),
        (torch.zeros(2, 4, 32, 32, dtype=torch.uint8), "1 or 3 channels"),
        (torch.zeros(2, 3, 15, 32, dtype=torch.uint8), "sides from 16 pixels"),
        (torch.zeros(3, 32, 32, dtype=torch.uint8), r"give uint8 \(n, C, H, W\)"),
    ],
)
def test_images_that_cannot_be_corrupted_are_named(images: Tensor, words: str) -> None:
    with pytest.raises(UserError, match=words) as raised:
        corrupt(images, "fog", 1)
    assert "\n" not in str(raised.value)
