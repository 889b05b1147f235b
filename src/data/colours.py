"""Random shifts of an image's colour along the principal components of the training images' pixels.

As in AlexNet (Krizhevsky et al., NeurIPS 2012): to every pixel of an image the same colour is added, the sum over the
components of a number from N(0, std) times the component. Each component is as long as the pixels' standard deviation
along it; the paper says the eigenvalue, which is a variance and would depend on the unit of the pixels.

The thesis that these options are of (L. Friedrichsen 2020) deviates: its components are those of the images' mean
colours, standardised per channel, it takes the rows of the eigenvectors' matrix for its columns, and it scales by the
squared eigenvalue times 127.5, which makes the shifts far stronger.
"""

import torch
from torch import Tensor

from src.core.seeds import stream

CHUNK = 4096  # images


def colour_components(images: Tensor) -> Tensor:
    """The principal components of the pixels, as rows of the length of a standard deviation, in grey levels.

    Args:
        images: uint8 (N, C, H, W).

    Returns:
        float32 (C, C) on the CPU, in ascending order; signs are arbitrary.
    """
    channels = images.shape[1]
    total = torch.zeros(channels, dtype=torch.float64)
    products = torch.zeros(channels, channels, dtype=torch.float64)
    for chunk in images.split(CHUNK):
        values = chunk.transpose(0, 1).reshape(channels, -1).cpu().double()  # whole numbers: the sums are exact
        total += values.sum(1)
        products += values @ values.T
    count = images.numel() / channels
    mean = total / count
    variances, vectors = torch.linalg.eigh(products / count - mean.outer(mean))
    return (vectors * variances.clamp(min=0).sqrt()).T.float()


def draw_colours(count: int, channels: int, std: float, *, seed: int, epoch: int, step: int) -> Tensor:
    """How much of each component each of `count` images gets (n, C): N(0, std), a pure function of the arguments."""
    return std * torch.randn(count, channels, generator=stream(seed, "colours", epoch, step))


def shift_colours(images: Tensor, shares: Tensor, components: Tensor) -> Tensor:
    """uint8 (n, C, H, W) with its own colour added to each image, rounded and cut to 0..255; memory format kept."""
    shift = (shares @ components.to(shares.device))[:, :, None, None].to(images.device)
    return (images + shift).round_().clamp_(0, 255).to(torch.uint8)
