"""Images cut into square blocks, and the grids of patches that are masked."""

import torch
from torch import Tensor

from src.core.errors import UserError
from src.core.seeds import drawn


def to_blocks(images: Tensor, side: int) -> Tensor:
    """(n, C, H, W) -> (n, rows * columns, C, side, side), row by row.

    Raises:
        UserError: the blocks do not fill the image.
    """
    count, channels, height, width = images.shape
    if side < 1 or height % side or width % side:
        sides = [size for size in range(1, min(height, width)) if not (height % size or width % size)]
        raise UserError(f"blocks of {side} pixels do not fill {height}x{width}; take one of {sides}")
    cut = images.reshape(count, channels, height // side, side, width // side, side)
    return cut.permute(0, 2, 4, 1, 3, 5).flatten(1, 2)


def from_blocks(blocks: Tensor, height: int, width: int) -> Tensor:
    """The inverse of :func:`to_blocks`: (n, rows * columns, C, side, side) -> (n, C, H, W)."""
    count, _, channels, side, _ = blocks.shape
    grid = blocks.reshape(count, height // side, width // side, channels, side, side)
    return grid.permute(0, 3, 1, 4, 2, 5).reshape(count, channels, height, width)


def derangements(numbers: Tensor, blocks: int, *key: int | str) -> Tensor:
    """int64 (n, blocks): for each image a permutation without a fixed point, equally likely each.

    Those with a fixed point are drawn again, each about 2.7 times; row i is a pure function of the key and of number i.

    Args:
        numbers: int64 (n,), of the images within their set.

    Raises:
        UserError: a single block has no derangement.
    """
    if blocks < 2:
        raise UserError("one block has no other place; take smaller blocks")
    place = torch.arange(blocks, device=numbers.device)
    rows = place.repeat(len(numbers), 1)
    attempt = 0
    while len(waiting := (rows == place).any(1).nonzero()[:, 0]):
        rows[waiting] = drawn(numbers[waiting], blocks, *key, "derangement", attempt).argsort(1)
        attempt += 1
    return rows


def patch_grid(height: int, width: int, side: int) -> tuple[int, int, int, int]:
    """Patches along the height and the width, both odd, and the border above and to the left of them, in pixels.

    The grid of the thesis behind BagNet's test (M. Bütner 2020, after Brendel and Bethge, ICLR 2019): as many whole
    patches as fit, one less where that is even, in the middle of the image.

    Raises:
        UserError: not even one patch fits.
    """
    if not 1 <= side <= min(height, width):
        raise UserError(f"patches of {side} pixels do not fit {height}x{width}; allowed are 1..{min(height, width)}")
    rows, columns = height // side, width // side
    rows, columns = rows - (rows % 2 == 0), columns - (columns % 2 == 0)
    return rows, columns, (height - rows * side) // 2, (width - columns * side) // 2


def patch_masks(height: int, width: int, side: int, layout: str) -> Tensor:
    """bool (patches, H, W): one mask for each patch of a layout.

    Args:
        layout: ``checker``: every second row and column of the grid, so that masked patches never touch; ``dense``:
            every second cell in turn, as on a chessboard, so that they touch at corners.
    """
    rows, columns, above, left = patch_grid(height, width, side)
    row, column = torch.meshgrid(torch.arange(rows), torch.arange(columns), indexing="ij")
    chosen = (row % 2 == 0) & (column % 2 == 0) if layout == "checker" else (row + column) % 2 == 0
    top, start = above + side * row[chosen], left + side * column[chosen]
    y, x = torch.arange(height)[None, :, None], torch.arange(width)[None, None]
    top, start = top[:, None, None], start[:, None, None]
    return (y >= top) & (y < top + side) & (x >= start) & (x < start + side)
