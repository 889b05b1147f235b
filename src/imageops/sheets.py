"""Images side by side, for the page."""

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import interpolate

GAP = 2  # white pixels between images
SIDE = 96  # pixels of an image that is shown small


def contact_sheet(images: Tensor, columns: int = 12, rows: int = 3, zoom: int = 2) -> np.ndarray:
    """The first images (n, C, H, W) uint8 in a grid on white: uint8 (h, w, 3), each pixel ``zoom`` times as large."""
    shown = images[: rows * columns].to("cpu")  # images in files are read by it
    shown = shown.expand(-1, 3, -1, -1) if shown.shape[1] == 1 else shown[:, :3]
    count, _, height, width = shown.shape
    lines = -(-count // columns)
    sheet = torch.full((lines * columns, 3, height + GAP, width + GAP), 255, dtype=torch.uint8)
    sheet[:count, :, :height, :width] = shown
    grid = sheet.view(lines, columns, 3, height + GAP, width + GAP).permute(0, 3, 1, 4, 2)
    whole = grid.reshape(lines * (height + GAP), columns * (width + GAP), 3)
    return whole.repeat_interleave(zoom, 0).repeat_interleave(zoom, 1).numpy()


def thumbnails(images: Tensor, columns: int = 12, rows: int = 3) -> np.ndarray:
    """:func:`contact_sheet` of images that are at most SIDE pixels wide and high: larger ones are made smaller."""
    shown = images[: rows * columns].to("cpu")
    side = max(shown.shape[-2:])
    if side > SIDE:
        smaller = interpolate(shown.float(), scale_factor=SIDE / side, mode="area")
        return contact_sheet(smaller.round().to(torch.uint8), columns, rows, 1)
    return contact_sheet(shown, columns, rows, max(1, SIDE // side))
