from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from PIL import Image
from scipy import ndimage
from torch import Tensor

from src.imageops.resampling import pixelate, zoom_mean


@pytest.fixture
def images() -> Tensor:
    return torch.randint(0, 256, (2, 3, 32, 45), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def scipys_zoom(image: np.ndarray, factor: float) -> np.ndarray:
    """The middle of (C, H, W), enlarged, cut to the size it had."""
    for axis in (1, 2):
        size = image.shape[axis]
        crop = math.ceil(size / factor)
        begin = (size - crop) // 2
        image = np.take(image, range(begin, begin + crop), axis)
        zoomed = ndimage.zoom(image, [factor if other == axis else 1 for other in range(3)], order=1)
        cut = (zoomed.shape[axis] - size) // 2
        image = np.take(zoomed, range(cut, cut + size), axis)
    return image


@pytest.mark.parametrize("factors", [(1.0,), (1.05,), (1.25, 1.3), (2.5,), (4.5,)])
def test_zoom_is_scipys(images: Tensor, factors: tuple[float, ...]) -> None:
    values = images.double().numpy()
    zooms = [[image, *(scipys_zoom(image, factor) for factor in factors)] for image in values]
    expected = [np.mean(each, axis=0) for each in zooms]
    np.testing.assert_allclose(zoom_mean(images.float(), factors).numpy(), expected, atol=1e-3)


@pytest.mark.parametrize("share", [0.95, 0.85, 0.65, 0.5, 0.4, 0.25])
def test_pixelate_is_pils_box_filter(images: Tensor, share: float) -> None:
    height, width = images.shape[2:]
    for image, made in zip(images, pixelate(images.float(), share), strict=True):
        picture = Image.fromarray(image.permute(1, 2, 0).numpy())
        small = picture.resize((int(width * share), int(height * share)), Image.Resampling.BOX)
        expected = np.asarray(small.resize((width, height), Image.Resampling.BOX))
        difference = np.abs(made.permute(1, 2, 0).numpy() - expected)
        # PIL's weights have 22 bits, so that a mean halfway between two levels may go either way
        assert difference.max() <= 1 and (difference > 0).mean() < 0.002
