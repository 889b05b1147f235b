from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import ndimage
from torchvision.transforms.v2 import functional

from src.imageops.transformations import transformation_set
from tests.imageops.transformations.conftest import APPEARANCE, random_images, title


def test_brightness_and_contrast_are_torchvisions() -> None:
    """Whose contrast is about the mean of a grey image, as ours is about that of all values."""
    images = random_images(channels=1)
    for name, reference in (("brightness", functional.adjust_brightness), ("contrast", functional.adjust_contrast)):
        made = transformation_set({"family": name, "low": 0.25, "high": 4, "count": 5})
        assert made.values == (0.25, 0.5, 1.0, 2.0, 4.0) and (made.unit, made.identity) == ("×", 2)
        for factor, one in zip(made.values, made(images).unbind(1), strict=True):
            torch.testing.assert_close(one, reference(images, factor), atol=1e-12, rtol=0)


def test_contrast_is_about_the_mean_over_all_channels() -> None:
    images = random_images()
    made = transformation_set({"family": "contrast", "low": 0.5, "high": 2, "count": 3})(images)[:, 0]
    expected = [(image + image.mean()) / 2 for image in images]
    torch.testing.assert_close(made, torch.stack(expected))


def test_blur_is_scipys() -> None:
    images = random_images()
    made = transformation_set({"family": "blur", "low": 0.5, "high": 6, "count": 3})
    assert made.values == (0.5, 3.25, 6.0) and made.names[1] == "3.25 px" and made.identity is None
    for sigma, one in zip(made.values, made(images).unbind(1), strict=True):
        axes = (0, 0, sigma, sigma)
        expected = ndimage.gaussian_filter(images.numpy(), axes, mode="reflect", truncate=8)
        np.testing.assert_allclose(one.numpy(), expected, atol=1e-9)


def test_noise_is_one_pattern_per_member_for_all_images() -> None:
    grey = torch.full((3, 3, 64, 64), 0.5)
    made = transformation_set({"family": "noise", "low": 0.1, "high": 0.1, "count": 3})
    added = made(grey) - 0.5
    assert torch.equal(added[0], added[1]) and made.values == (0.1, 0.1, 0.1) and made.names[0] == "0.1"
    patterns = added[0].flatten(1)
    torch.testing.assert_close(patterns.std(1), torch.full((3,), 0.1), atol=0.003, rtol=0)
    torch.testing.assert_close(torch.corrcoef(patterns), torch.eye(3), atol=0.03, rtol=0)
    assert not torch.equal(transformation_set({"family": "noise", "seed": 1})(grey)[:, 8], made(grey)[:, 2])


@pytest.mark.parametrize("options", APPEARANCE, ids=title)
def test_no_pixel_moves_and_values_stay_in_range(options: dict[str, object]) -> None:
    made, images = transformation_set(options), random_images()
    found = made(images)
    assert float(found.min()) >= 0 and float(found.max()) <= 1 and not torch.equal(found[:, 0], found[:, -1])
    assert made.valid(5, 7).all()
    maps = torch.randn(2, 4, 6, 5, 7)
    assert torch.equal(made.undo(maps), maps)


@pytest.mark.parametrize("options", [{"family": "contrast"}, {"family": "blur"}], ids=title)
@pytest.mark.parametrize("value", [0.0, 0.4, 1.0])
def test_a_constant_image_stays_constant(options: dict[str, object], value: float) -> None:
    constant = torch.full((2, 3, 9, 9), value)
    torch.testing.assert_close(transformation_set(options)(constant), constant[:, None].expand(-1, 9, -1, -1, -1))
