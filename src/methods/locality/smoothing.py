"""Edge-preserving smoothing: the bilateral filter, batched, with the parameters that OpenCV's users know."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor


def bilateral(images: Tensor, diameter: int, colour_sigma: float, space_sigma: float = 75.0) -> Tensor:
    """Means of neighbours weighted by nearness in space and in colour (Tomasi and Manduchi, ICCV 1998).

    A neighbour lies within ``diameter // 2`` pixels; the distance of two colours is the sum over channels of absolute
    differences; beyond the border the image is mirrored without its last line. All as in OpenCV, for comparison.

    Args:
        images: float (n, C, H, W) of 0..255.
        diameter: of the neighbourhood in pixels.
        colour_sigma: in grey levels.
        space_sigma: in pixels.

    Returns:
        float (n, C, H, W).
    """
    radius = max(1, diameter // 2)
    height, width = images.shape[2:]
    around = F.pad(images, [radius] * 4, mode="reflect")
    total, weights = torch.zeros_like(images), torch.zeros_like(images[:, :1])
    for down in range(-radius, radius + 1):
        for right in range(-radius, radius + 1):
            square = down**2 + right**2
            if square > radius**2:
                continue
            top, left = radius + down, radius + right
            neighbour = around[:, :, top : top + height, left : left + width]
            apart = (neighbour - images).abs_().sum(1, keepdim=True)
            weight = apart.square_().mul_(-0.5 / colour_sigma**2).exp_().mul_(math.exp(-0.5 * square / space_sigma**2))
            weights += weight
            total.addcmul_(weight, neighbour)
    return total.div_(weights)
