from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy import ndimage

from src.imageops.edges import canny, distance, equalised
from src.imageops.filters import gaussian


def naive_canny(image: np.ndarray, low: float, high: float) -> np.ndarray:
    """Pixel by pixel, by angles; connected by scipy's labels."""
    padded = np.pad(image, 1, mode="edge")
    height, width = image.shape
    x, y = np.zeros(image.shape), np.zeros(image.shape)
    for row in range(height):
        for column in range(width):
            part = padded[row : row + 3, column : column + 3]
            x[row, column] = np.dot(part[:, 2] - part[:, 0], [1, 2, 1])
            y[row, column] = np.dot(part[2] - part[0], [1, 2, 1])
    size = np.pad(np.abs(x) + np.abs(y), 1)
    crest = np.zeros(image.shape, dtype=bool)
    for row in range(height):
        for column in range(width):
            own = size[row + 1, column + 1]
            angle = math.degrees(math.atan2(y[row, column], x[row, column])) % 180
            if angle < 22.5 or angle > 157.5:
                before, after, strict = (0, -1), (0, 1), False
            elif 67.5 < angle < 112.5:
                before, after, strict = (-1, 0), (1, 0), False
            elif angle < 90:
                before, after, strict = (-1, -1), (1, 1), True
            else:
                before, after, strict = (-1, 1), (1, -1), True
            one, other = (size[row + 1 + down, column + 1 + right] for down, right in (before, after))
            crest[row, column] = own > one and (own > other if strict else own >= other)
    weak = crest & (size[1:-1, 1:-1] > low)
    labels, _ = ndimage.label(weak, np.ones((3, 3)))
    strong = np.unique(labels[weak & (size[1:-1, 1:-1] > high)])
    return np.isin(labels, strong[strong > 0])


def test_canny_equals_a_loop_over_the_pixels() -> None:
    noise = torch.randn(6, 30, 41, generator=torch.Generator().manual_seed(0))
    images = (gaussian(noise, 2.0) * 400 + 128).clamp(0, 255).floor()
    made = canny(images, 50, 150)
    for image, edges in zip(images.numpy(), made.numpy(), strict=True):
        assert np.array_equal(edges, naive_canny(image, 50, 150))
    assert 0.05 < made.float().mean() < 0.5


def test_a_flat_image_has_no_edges() -> None:
    assert not canny(torch.full((2, 16, 16), 7.0), 50, 150).any()


@pytest.mark.parametrize("share", [0.2, 0.01, 0.002])
def test_distance_is_scipys(share: float) -> None:
    edges = torch.rand(8, 33, 50, generator=torch.Generator().manual_seed(1)) < share
    edges[0] = False
    expected = [ndimage.distance_transform_edt(~one.numpy()) if one.any() else np.full(one.shape, 99) for one in edges]
    np.testing.assert_allclose(distance(edges, 20).numpy(), np.minimum(expected, 20), atol=1e-4)


def test_equalised_by_hand() -> None:
    image = torch.tensor([[2.0, 2.0, 3.0], [5.0, 5.0, 5.0]])
    made = equalised(torch.stack([image, torch.full((2, 3), 4.0)]), 6)
    # two of six are the lowest; of the other four one is a 3: round(255 / 4)
    assert made[0].tolist() == [[0, 0, 64], [255, 255, 255]]
    assert made[1].unique().tolist() == [4]
