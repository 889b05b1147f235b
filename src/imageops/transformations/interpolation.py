"""How far images come back changed when a transformation is undone: what a network cannot be blamed for."""

from __future__ import annotations

import torch
from torch import Tensor

from src.core.errors import UserError
from src.imageops.transformations.portions import portions
from src.imageops.transformations.sets import TransformationSet


def interpolation_error(transformations: TransformationSet, images: Tensor) -> Tensor:
    """Root mean square difference of images from themselves, transformed and moved back, where that is `valid`.

    Of families that move no pixel it is the size of the change itself.

    Args:
        images: float (n, C, H, W) of 0..1.

    Returns:
        float64 (T,) on the CPU.

    Raises:
        UserError: no pixel keeps its content under all members.
    """
    count, _, height, width = images.shape
    where = transformations.valid(height, width).to(images.device)
    if not bool(where.any()):
        raise UserError(
            f"transformation: no pixel of {height}x{width} images stays within them under all members; "
            "take a smaller range, or larger images"
        )
    total = torch.zeros(len(transformations), dtype=torch.float64, device=images.device)
    for rows in portions(count, len(transformations) * images.shape[1:].numel(), images.device):
        some = images[rows]
        back = transformations.undo(transformations(some))
        total += (back - some[:, None])[..., where].double().square().sum((0, 2, 3))
    return (total / (count * images.shape[1] * where.sum())).sqrt().cpu()
