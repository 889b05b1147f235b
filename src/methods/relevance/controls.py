"""Maps that know nothing of a network: what a map of relevance has to be better than.

The map of an untrained network is a control as well; it needs a network, and is made by the study.
"""

import torch
from torch import Tensor

from src.core.errors import UserError
from src.core.seeds import stream, uniform
from src.imageops.colour import luma
from src.imageops.edges import steepness
from src.imageops.filters import gaussian, gaussian_weights


def uniform_map(images: Tensor) -> Tensor:
    """Every pixel alike, 1: images (n, C, H, W) of any type -> float32 (n, H, W)."""
    return torch.ones(len(images), *images.shape[2:], device=images.device)


def random_map(images: Tensor, seed: int, draw: int) -> Tensor:
    """Every pixel drawn for itself from 0..1: images (n, C, H, W) -> float32 (n, H, W); another ``draw``, another map.

    An image's map is a pure function of seed, draw and the image's number within the batch.
    """
    count, (height, width) = len(images), images.shape[2:]
    numbers = torch.arange(count, device=images.device)
    return uniform(numbers, height * width, seed, "random map", draw).view(count, height, width)


def sobel_map(images: Tensor) -> Tensor:
    """How steep the grey image is: images (n, C, H, W) of 1 or 3 channels -> float32 (n, H, W), nowhere negative."""
    return steepness(luma(images.float())[:, 0])


def centre_map(images: Tensor, sigma: float = 0.25) -> Tensor:
    """A Gaussian around the image's middle, where photographers and data sets put objects: float32 (n, H, W).

    Args:
        images: (n, C, H, W), for their shape.
        sigma: standard deviation as a share of the height along columns, and of the width along rows; above 0.
    """
    # samples at twice the distance, so that the middle of an even side lies between two of them
    height, width = (
        torch.tensor(gaussian_weights(2 * sigma * side, side - 1)[::2], device=images.device)
        for side in images.shape[2:]
    )
    return (height[:, None] * width).expand(len(images), -1, -1)


def blurred_map(maps: Tensor, sigma: float = 0.05) -> Tensor:
    """The map without its detail: float32 (n, H, W), signed as it was.

    Args:
        maps: float32 (n, H, W).
        sigma: of the Gaussian, as a share of the shorter side.
    """
    return gaussian(maps, sigma * min(maps.shape[1:]))


def other_images(labels: Tensor, seed: int) -> Tensor:
    """For each image the number of another one, of another class as often as is possible: int64 (n,).

    A derangement: each is taken once, and none by itself; ``maps[other_images(labels, seed)]`` are other images' maps.
    Images are drawn in a random order within their class and classes in a random order, and all move on by the size of
    the greatest class. Where that is at most half of the images, no image gets one of its class.

    Args:
        labels: int64 (n,), the classes; all alike where there are none.

    Raises:
        UserError: a single image has no other.
    """
    count = len(labels)
    if count < 2:
        raise UserError("the control 'another image's map' needs at least two images; take more")
    generator = stream(seed, "other images")
    _, classes = labels.cpu().unique(return_inverse=True)
    shuffled = torch.randperm(count, generator=generator)
    places = torch.randperm(int(classes.max()) + 1, generator=generator)
    order = shuffled[places[classes[shuffled]].argsort(stable=True)]
    shift = min(int(classes.bincount().max()), count - 1)
    others = torch.empty_like(order)
    others[order] = order.roll(-shift)
    return others.to(labels.device)
