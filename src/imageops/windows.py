"""A window at its own place cut out of each image of a batch, as copies of contiguous memory."""

from __future__ import annotations

import torch
from torch import Tensor


def windows(images: Tensor, top: Tensor, left: Tensor, height: int, width: int, chosen: Tensor | None = None) -> Tensor:
    """(m, C, height, width): of each image its window, at row `top` and column `left`.

    Args:
        images: contiguous (n, C, H, W) of any type.
        top: int64 (m,), 0..H - height.
        left: int64 (m,), 0..W - width.
        chosen: int64 (m,), the image of each window; None: each its own (m = n).

    Returns:
        A view of fresh memory in which rows are W apart.
    """
    count, channels, full_height, full_width = images.shape
    images = images.contiguous()
    plane = full_height * full_width
    length = (height - 1) * full_width + width
    chosen = torch.arange(count) if chosen is None else chosen
    first = (chosen * channels * plane + top * full_width + left)[:, None] + torch.arange(channels) * plane
    # every start of a window is a row of this view; one row is one copy
    runs = images.as_strided((images.numel() - length + 1, length), (1, 1))
    taken = runs.index_select(0, first.flatten().to(images.device))
    strides = (channels * length, length, full_width, 1)
    return taken.as_strided((len(chosen), channels, height, width), strides)
