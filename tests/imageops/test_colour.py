from __future__ import annotations

import numpy as np
import pytest
import torch
from matplotlib.colors import hsv_to_rgb, rgb_to_hsv
from torch import Tensor

from src.imageops.colour import brighten, contrast, luma, over, saturate


@pytest.fixture
def values() -> Tensor:
    made = torch.randint(0, 256, (4, 3, 8, 9), generator=torch.Generator().manual_seed(0)).float()
    made[0] = made[0, :1]  # a grey one
    made[1, :, :4] = 0
    return made


def through_hsv(values: Tensor, axis: int, factor: float, shift: float) -> np.ndarray:
    """One coordinate changed, by matplotlib's conversions."""
    hsv = rgb_to_hsv(values.permute(0, 2, 3, 1).double().numpy() / 255)
    hsv[..., axis] = np.clip(hsv[..., axis] * factor + shift, 0, 1)
    return np.moveaxis(hsv_to_rgb(hsv) * 255, 3, 1)


@pytest.mark.parametrize("shift", [0.05, 0.3, 0.5])
def test_brighten_raises_value(values: Tensor, shift: float) -> None:
    expected = through_hsv(values, 2, 1, shift)
    np.testing.assert_allclose(brighten(values, 255 * shift).numpy(), expected, atol=1e-3)


@pytest.mark.parametrize(("factor", "shift"), [(0.3, 0), (0.1, 0), (2, 0), (2, 0.1), (20, 0.2)])
def test_saturate_changes_saturation(values: Tensor, factor: float, shift: float) -> None:
    expected = through_hsv(values, 1, factor, shift)
    np.testing.assert_allclose(saturate(values, factor, shift).numpy(), expected, atol=1e-3)


def test_a_grey_image_has_no_saturation(values: Tensor) -> None:
    grey = values[:, :1].clone()
    assert torch.equal(saturate(grey.clone(), 5, 0.2), grey)


def test_contrast_keeps_the_mean_of_each_channel(values: Tensor) -> None:
    made = contrast(values.clone(), 0.3)
    torch.testing.assert_close(made.mean((2, 3)), values.mean((2, 3)))
    torch.testing.assert_close(made.std((2, 3)), 0.3 * values.std((2, 3)))


def test_luma_of_grey_is_itself() -> None:
    grey = torch.full((1, 3, 2, 2), 77.0)
    torch.testing.assert_close(luma(grey), grey[:, :1])
    assert luma(torch.tensor([100.0, 200.0, 50.0]).view(1, 3, 1, 1)).item() == pytest.approx(29.9 + 117.4 + 5.7)


def test_a_colour_laid_over_a_grey_image_is_its_luma() -> None:
    share = torch.full((1, 1, 2, 2), 0.5)
    assert over(torch.zeros(1, 3, 2, 2), share, (10, 20, 30))[0, :, 0, 0].tolist() == [5, 10, 15]
    assert over(torch.zeros(1, 1, 2, 2), share, (100, 100, 100)).flatten()[0].item() == pytest.approx(50)
