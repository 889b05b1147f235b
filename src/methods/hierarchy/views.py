"""Crops and mirror images that a network sees of one image; what it answers is averaged."""

from dataclasses import asdict, dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from src.core.errors import UserError

Crops = Literal["centre", "five", "ten"]
AXES = {"left_right": 3, "up_down": 2}  # the dimension of (n, C, H, W) that is mirrored


@dataclass(frozen=True)
class Views:
    """Square crops of a batch.

    Attributes:
        size: side of the crops in pixels.
        kind: the ``centre``; ``five``: the corners and the centre; ``ten``: these five, and each of them mirrored.
        flip_axis: ``left_right``, or ``up_down`` as in the thesis on modular networks.
    """

    size: int
    kind: Crops = "ten"
    flip_axis: str = "left_right"

    def plain(self) -> dict[str, Any]:
        """As JSON; ``Views(**plain)`` is the opposite."""
        return asdict(self)

    def offsets(self, height: int, width: int) -> list[tuple[int, int]]:
        """Row and column of each crop's corner: corners of the image in reading order, then the centre, none twice.

        Raises:
            UserError: the image is smaller than a crop.
        """
        down, right = height - self.size, width - self.size
        if min(down, right) < 0:
            raise UserError(
                f"views.size={self.size}: the images have {height}x{width} pixels; take at most {min(height, width)}"
            )
        centre = (down // 2, right // 2)
        corners = [] if self.kind == "centre" else [(0, 0), (0, right), (down, 0), (down, right)]
        return list(dict.fromkeys([*corners, centre]))

    def __call__(self, images: Tensor) -> Tensor:
        """Images (n, C, H, W) -> (T * n, C, size, size): the first crop of all images, then the second ...

        Where the crops are as large as the image there is one of them, and its mirror image with ``ten``.
        """
        side = self.size
        crops = [
            images[:, :, row : row + side, column : column + side] for row, column in self.offsets(*images.shape[2:])
        ]
        if self.kind == "ten":
            crops += [crop.flip(AXES[self.flip_axis]) for crop in crops]
        return crops[0] if len(crops) == 1 else torch.cat(crops)
