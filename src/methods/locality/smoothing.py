"""Smoothing that keeps edges: the bilateral filter and non-local means, batched, with the parameters of OpenCV."""

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


def non_local_means(values: Tensor, strength: float, template: int = 7, search: int = 21) -> Tensor:
    """Means of the pixels around, weighted by how alike their surroundings are (Buades et al., CVPR 2005).

    The weight of a pixel is exp(-d / strength^2), d the mean squared difference of two squares of ``template`` pixels'
    side; beyond the border the image is mirrored without its last line. As in OpenCV, whose tables round weights.

    Args:
        values: float (n, C, H, W) of 0..255.
        strength: in grey levels.
        template, search: sides in pixels, odd; the search is no wider than the image allows.

    Returns:
        float (n, C, H, W).
    """
    height, width = values.shape[2:]
    half = template // 2
    reach = min(search // 2, min(height, width) - 1 - half)
    around = F.pad(values, [reach + half] * 4, mode="reflect")
    rows, columns = height + 2 * half, width + 2 * half
    here = around[:, :, reach : reach + rows, reach : reach + columns]
    total, weights = torch.zeros_like(values), torch.zeros_like(values[:, :1])
    for down in range(2 * reach + 1):
        for right in range(2 * reach + 1):
            there = around[:, :, down : down + rows, right : right + columns]
            apart = F.avg_pool2d((there - here).square_().mean(1, keepdim=True), template, stride=1)
            weight = apart.mul_(-1 / strength**2).exp_()
            weights += weight
            total.addcmul_(weight, there[:, :, half : half + height, half : half + width])
    return total.div_(weights)
