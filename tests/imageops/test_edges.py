from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy import ndimage

from src.imageops.edges import (
    auto_thresholds,
    canny,
    dilated,
    distance,
    equalised,
    outlines,
    steepest,
    steepness,
    zero_crossings,
)
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


def test_each_image_has_its_thresholds() -> None:
    images = (gaussian(torch.randn(3, 20, 24, generator=torch.Generator().manual_seed(2)), 1.5) * 300 + 128).floor()
    low, high = torch.tensor([20.0, 50.0, 90.0]), torch.tensor([60.0, 150.0, 200.0])
    made = canny(images, low, high)
    apart = [canny(images[k : k + 1], float(low[k]), float(high[k])) for k in range(3)]
    assert torch.equal(made, torch.cat(apart)) and made.any()


def test_thresholds_of_the_thesis() -> None:
    """By the median as numpy has it: of an even number of pixels the mean of the middle two."""
    images = torch.stack([torch.full((2, 2), 100.0), torch.full((2, 2), 200.0), torch.tensor([[1.0, 90], [121, 255]])])
    low, high = auto_thresholds(images, 0.9)
    assert low.tolist() == [9, 19, 10] and high.tolist() == [190, 255, 200]
    assert [float(np.median(image.numpy())) for image in images] == [100, 200, 105.5]


def test_the_steepest_pixels_are_scipys() -> None:
    image = torch.rand(2, 15, 22, generator=torch.Generator().manual_seed(3)) * 255
    for one, edges in zip(image.double().numpy(), steepest(image.double(), 0.8).numpy(), strict=True):
        size = np.hypot(ndimage.sobel(one, 0, mode="nearest"), ndimage.sobel(one, 1, mode="nearest"))
        assert np.array_equal(edges, size > np.sort(size.ravel())[264 - 1])  # 0.8 of 330 pixels
    assert not steepest(image, 1.0).any()


def test_zero_crossings_equal_a_loop_over_the_pixels() -> None:
    images = gaussian(torch.rand(2, 14, 19, generator=torch.Generator().manual_seed(4)) * 255, 1.0)
    for image, edges in zip(images, zero_crossings(images, 1.5), strict=True):
        padded = np.pad(gaussian(image[None], 1.5)[0].numpy(), 1, mode="edge")
        curved = np.array([[padded[y, x + 1] + padded[y + 2, x + 1] + padded[y + 1, x] + padded[y + 1, x + 2]
                            - 4 * padded[y + 1, x + 1] for x in range(19)] for y in range(14)])  # fmt: skip
        least, expected = 0.75 * np.abs(curved).mean(), np.zeros((14, 19), dtype=bool)
        for y in range(14):
            for x in range(19):
                for below, right in ((y + 1, x), (y, x + 1)):
                    if below == 14 or right == 19:
                        continue
                    one, other = curved[y, x], curved[below, right]
                    if (one < 0) != (other < 0) and abs(one - other) > least:
                        expected[(y, x) if abs(one) <= abs(other) else (below, right)] = True
        assert np.array_equal(edges.numpy(), expected) and 0.02 < expected.mean() < 0.5


def test_a_flat_image_has_no_edges() -> None:
    flat = torch.full((2, 16, 16), 7.0)
    assert not canny(flat, 50, 150).any() and not canny(flat, *auto_thresholds(flat, 0.9)).any()
    assert not steepest(flat, 0.5).any() and not zero_crossings(flat, 2.0).any()


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


def test_steepness_is_the_length_of_sobels_gradient() -> None:
    values = torch.tensor([[[0.0, 0, 0], [0, 0, 3], [0, 0, 4]]])
    x, y = 2 * 3 + 4, 4 - 0
    assert steepness(values)[0, 1, 1].item() == pytest.approx(math.hypot(x, y))
    assert steepness(torch.full((1, 4, 4), 7.0)).eq(0).all()


def test_dilation_is_a_disk() -> None:
    marked = torch.zeros(1, 7, 7, dtype=torch.bool)
    marked[0, 3, 3] = True
    row, column = torch.meshgrid(torch.arange(7) - 3, torch.arange(7) - 3, indexing="ij")
    for radius in range(4):
        assert torch.equal(dilated(marked, radius)[0], row**2 + column**2 <= radius**2)
    assert not dilated(torch.zeros_like(marked), 2).any()


def test_the_outline_is_the_masks_own_border() -> None:
    mask = torch.zeros(1, 6, 6, dtype=torch.bool)
    mask[0, 1:5, 2:] = True  # reaches the image's right border, which is none of its own
    expected = mask.clone()
    expected[0, 2:4, 3:] = False
    assert torch.equal(outlines(mask), expected)
    assert not outlines(torch.ones(1, 3, 3, dtype=torch.bool)).any()
