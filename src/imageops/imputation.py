"""Missing pixels of many images filled from what is around them, by one linear system per image."""

import torch
from torch import Tensor

from src.core.errors import UserError

CACHED = 2**18  # values of a part: on a processor the vectors of one solution then stay in its cache


def imputed(images: Tensor, missing: Tensor, tolerance: float = 1e-5) -> Tensor:
    """Images in which every missing pixel is the weighted mean of its eight neighbours, missing ones among them.

    Direct neighbours weigh 1/6, diagonal ones 1/12 (Rong et al. 2022, arXiv:2202.00449); at the border the weights of
    those that exist are scaled to 1. Times the sum of its weights, the system is symmetric and positive: conjugate
    gradients with that sum as preconditioner (Hestenes and Stiefel 1952) solve it for all images at once, on a
    processor for as many as its cache holds.

    Args:
        images: float (n, C, H, W); what it has at missing pixels is not read.
        missing: bool (n, H, W).
        tolerance: the iteration ends where a further step of averaging would move no pixel by more, in units of the
            images. It is looked up every ten steps, and 16 (H + W) steps are the most.

    Returns:
        float (n, C, H, W).

    Raises:
        UserError: an image has no pixel left.
    """
    if bool(missing.all(2).all(1).any()):
        raise UserError("all pixels of an image are missing, and none is left to fill it from; remove fewer")
    size = max(1, CACHED // images[0].numel()) if images.device.type == "cpu" and len(images) else len(images)
    parts = zip(images.split(size), missing.split(size), strict=True)
    return torch.cat([_solved(part, holes, tolerance) for part, holes in parts])


def _solved(images: Tensor, missing: Tensor, tolerance: float) -> Tensor:
    """What :func:`imputed` makes of images that are solved together."""
    holes = missing[:, None].to(images.dtype)
    left = (1 - holes).sum((2, 3), keepdim=True)
    visible = images.masked_fill(missing[:, None], 0)
    filled = visible + holes * (visible.sum((2, 3), keepdim=True) / left)
    weights = _neighbours(torch.ones_like(holes))
    scale = holes / weights
    residual = holes * (_neighbours(filled) - weights * filled)
    direction = scale * residual
    size = (residual * direction).sum((2, 3), keepdim=True)
    least = torch.finfo(images.dtype).tiny  # an image that is solved already divides nothing by nothing
    for step in range(1, 16 * sum(images.shape[2:]) + 1):
        across = holes * (weights * direction - _neighbours(direction))
        length = size / (direction * across).sum((2, 3), keepdim=True).clamp_(min=least)
        filled.addcmul_(length, direction)
        residual.addcmul_(length, across, value=-1)
        averaged = scale * residual
        if step % 10 == 0 and float(averaged.abs().max()) <= tolerance:
            break
        before, size = size, (residual * averaged).sum((2, 3), keepdim=True)
        direction = averaged.addcmul_(size / before.clamp(min=least), direction)
    return filled


def _neighbours(values: Tensor) -> Tensor:
    """float (n, C, H, W): twice the four direct neighbours plus the four diagonal ones; nothing beyond the border.

    [1 2 1] along rows and along columns, without what a pixel then has of itself.
    """
    down = 2 * values
    down[:, :, 1:] += values[:, :, :-1]
    down[:, :, :-1] += values[:, :, 1:]
    both = 2 * down
    both[..., 1:] += down[..., :-1]
    both[..., :-1] += down[..., 1:]
    return both.sub_(values, alpha=4)
