"""What is seen where a transformation moves something into the image from beyond its border."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from src.imageops.transformations.checks import check_number, check_one_of

KINDS = ("fill", "reflect", "disc")


@dataclass(frozen=True)
class Corners:
    """``fill``: one value; ``reflect``: the image mirrored at its border; ``disc``: all but the inscribed disc filled.

    With ``disc`` all members are filled alike, the identity too, so that corners cannot tell them apart; within the
    disc it is as ``reflect``.
    """

    kind: str = "fill"
    fill: float = 0.0

    @property
    def padding(self) -> str:
        """The padding mode of a sampling."""
        return "zeros" if self.kind == "fill" else "reflection"

    def disc(self, height: int, width: int) -> Tensor | None:
        """bool (H, W), what is kept; None: everything."""
        return inscribed_disc(height, width) if self.kind == "disc" else None


def check_corners(where: str, kind: Any, fill: Any) -> None:
    """UserError where one of the values is not allowed."""
    check_one_of(where, "corners", kind, KINDS)
    check_number(where, "fill", fill, 0, 1)


def inscribed_disc(height: int, width: int) -> Tensor:
    """bool (H, W): pixels with their middle in the largest disc about the image's middle."""
    y, x = (torch.arange(side) - (side - 1) / 2 for side in (height, width))
    return y[:, None] ** 2 + x**2 <= min(height, width) ** 2 / 4
