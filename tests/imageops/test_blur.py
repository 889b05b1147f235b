from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy import ndimage
from torch import Tensor

from src.imageops.blur import defocus, disk, motion


@pytest.fixture
def values() -> Tensor:
    return torch.rand(3, 3, 40, 33, generator=torch.Generator().manual_seed(0)) * 255


def plain_disk(radius: float, softness: float, taps: int) -> np.ndarray:
    """Built with scipy on a large grid."""
    steps = np.arange(-16, 17)
    kernel = (steps[:, None] ** 2 + steps**2 <= radius**2).astype(float)
    line = np.exp(-0.5 * (np.arange(-taps, taps + 1) / softness) ** 2)
    line /= line.sum()
    return ndimage.convolve(kernel / kernel.sum(), np.outer(line, line))


@pytest.mark.parametrize(("radius", "softness"), [(0.3, 0.4), (1.5, 0.1), (3, 0.1), (4, 0.5), (6, 0.5)])
def test_defocus_is_a_convolution_with_the_disk(values: Tensor, radius: float, softness: float) -> None:
    expected = ndimage.convolve(values.double().numpy(), plain_disk(radius, softness, 1)[None, None], mode="mirror")
    np.testing.assert_allclose(defocus(values, radius, softness).numpy(), expected, atol=2e-3)


@pytest.mark.parametrize(("radius", "side"), [(0.3, 3), (1, 5), (6, 15), (8, 17), (10, 21)])
def test_disk_sums_to_one_and_ends_where_its_grid_does(radius: float, side: int) -> None:
    kernel = disk(radius, 0.5)
    assert kernel.shape == (side, side)
    # where the disk touches the end of its grid, the published program's border counts pixels twice
    assert float(kernel.sum()) == pytest.approx(1, abs=1e-5 if radius <= 6 else 0.02)
    assert torch.allclose(kernel, kernel.T) and torch.allclose(kernel, kernel.flip(0))


def naive_motion(image: Tensor, radius: int, sigma: float, angle: float) -> Tensor:
    height, width = image.shape[1:]
    weights = [math.exp(-0.5 * (step / sigma) ** 2) for step in range(2 * radius + 1)]
    made = torch.zeros_like(image, dtype=torch.float64)
    for step, weight in enumerate(weights):
        down = math.ceil(step * math.sin(math.radians(angle)) - 0.5)
        right = math.ceil(step * math.cos(math.radians(angle)) - 0.5)
        rows = (torch.arange(height) + down).clamp(0, height - 1)
        columns = (torch.arange(width) + right).clamp(0, width - 1)
        made += weight / sum(weights) * image[:, rows][:, :, columns]
    return made.float()


@pytest.mark.parametrize(("radius", "sigma"), [(6, 1.0), (9, 2.5), (20, 15.0)])
def test_motion_equals_a_loop_over_images_and_steps(values: Tensor, radius: int, sigma: float) -> None:
    angles = torch.tensor([-40.0, 33.3, -100.0])
    expected = torch.stack(
        [naive_motion(image, radius, sigma, float(a)) for image, a in zip(values, angles, strict=True)]
    )
    torch.testing.assert_close(motion(values, radius, sigma, angles), expected, atol=0.05, rtol=0)


def test_motion_goes_one_way(values: Tensor) -> None:
    point = torch.zeros(1, 1, 21, 21)
    point[..., 10, 10] = 1
    made = motion(point, 3, 2.0, torch.tensor([0.0]))
    assert made[0, 0, 10].nonzero().flatten().tolist() == [4, 5, 6, 7, 8, 9, 10]
    assert float(made.sum()) == pytest.approx(1, abs=1e-5)
