"""Images side by side, for the page."""

import numpy as np
import torch
from torch import Tensor

GAP = 2  # white pixels between images


def contact_sheet(images: Tensor, columns: int = 12, rows: int = 3, zoom: int = 2) -> np.ndarray:
    """The first images (n, C, H, W) uint8 in a grid on white: uint8 (h, w, 3), each pixel ``zoom`` times as large."""
    shown = images[: rows * columns]
    shown = shown.expand(-1, 3, -1, -1) if shown.shape[1] == 1 else shown[:, :3]
    count, _, height, width = shown.shape
    lines = -(-count // columns)
    sheet = torch.full((lines * columns, 3, height + GAP, width + GAP), 255, dtype=torch.uint8)
    sheet[:count, :, :height, :width] = shown
    grid = sheet.view(lines, columns, 3, height + GAP, width + GAP).permute(0, 3, 1, 4, 2)
    whole = grid.reshape(lines * (height + GAP), columns * (width + GAP), 3)
    return whole.repeat_interleave(zoom, 0).repeat_interleave(zoom, 1).numpy()
