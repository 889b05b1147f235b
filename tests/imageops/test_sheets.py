"""A contact sheet shows the images in reading order, on white."""

import numpy as np
import torch

from src.imageops.sheets import GAP, contact_sheet


def numbered(count: int, channels: int = 3, height: int = 4, width: int = 5) -> torch.Tensor:
    """Image k is of the single value k."""
    return torch.arange(count, dtype=torch.uint8).view(-1, 1, 1, 1).expand(-1, channels, height, width).contiguous()


def test_images_stand_in_reading_order():
    sheet = contact_sheet(numbered(5), columns=3, zoom=1)
    assert sheet.dtype == np.uint8 and sheet.shape == (2 * (4 + GAP), 3 * (5 + GAP), 3)
    for number in range(5):
        top, left = (number // 3) * (4 + GAP), (number % 3) * (5 + GAP)
        assert (sheet[top : top + 4, left : left + 5] == number).all()
        assert (sheet[top + 4 : top + 4 + GAP] == 255).all()
        assert (sheet[top : top + 4, left + 5 : left + 5 + GAP] == 255).all()
    assert (sheet[4 + GAP :, 2 * (5 + GAP) :] == 255).all(), "the place of the sixth stays white"


def test_pixels_are_not_mixed_up():
    image = torch.randint(0, 256, (1, 3, 4, 5), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    plain = contact_sheet(image, columns=1, zoom=1)
    assert np.array_equal(plain[:4, :5], image[0].permute(1, 2, 0).numpy())
    large = contact_sheet(image, columns=1, zoom=3)
    assert np.array_equal(large, plain.repeat(3, axis=0).repeat(3, axis=1))


def test_no_more_than_the_grid_holds():
    assert contact_sheet(numbered(50), columns=4, rows=2, zoom=1).shape == (2 * (4 + GAP), 4 * (5 + GAP), 3)
    assert contact_sheet(numbered(50), columns=4, rows=2, zoom=1).max() == 255
    assert 8 not in contact_sheet(numbered(50), columns=4, rows=2, zoom=1)


def test_grey_images_become_grey_and_further_channels_are_left_out():
    grey = contact_sheet(numbered(2, channels=1), columns=2, zoom=1)
    assert np.array_equal(grey, contact_sheet(numbered(2), columns=2, zoom=1))
    assert contact_sheet(numbered(2, channels=4), columns=2, zoom=1).shape[2] == 3
