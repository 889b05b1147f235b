"""A network that straightens its image before it looks at it (Jaderberg et al., NeurIPS 2015, arXiv:1506.02025)."""

from collections import OrderedDict
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from src.networks.models.layout import Layout
from src.networks.models.pooling import pooled_size
from src.networks.models.simple_conv import LinearOnMap, simple_conv
from src.networks.options import SpatialTransformerOptions

FREEDOMS = {"affine": 6, "rotation": 1}  # numbers that the localisation network answers


def resampled(images: Tensor, maps: Tensor) -> Tensor:
    """Each image through its own affine map, bilinear; beyond its border it goes on as at the border.

    Going on keeps a black border black, whatever value black has after normalisation.

    Args:
        images: float (n, C, H, W).
        maps: float (n, 2, 3): ``map @ (x, y, 1)`` is where the value at (x, y) comes from, with x and y from -1 to 1
            between the image's edges.
    """
    grid = F.affine_grid(maps, images.size(), align_corners=False)  # type: ignore[arg-type]
    return F.grid_sample(images, grid, mode="bilinear", padding_mode="border", align_corners=False)


def rotations(angles: Tensor, height: int, width: int) -> Tensor:
    """The maps (n, 2, 3) of :func:`resampled` that turn images counterclockwise by ``angles`` (n,) in radians."""
    cos, sin, zero = angles.cos(), angles.sin(), torch.zeros_like(angles)
    # x and y have other units where the image is not square
    rows = [torch.stack([cos, -sin * (height / width), zero], 1), torch.stack([sin * (width / height), cos, zero], 1)]
    return torch.stack(rows, 1)


class Resample(nn.Module):
    """Images (n, C, H, W) by what was answered for them: (n, 6), the rows of a map, or (n, 1), an angle in radians."""

    def __init__(self, freedom: str, height: int, width: int) -> None:
        super().__init__()
        self.freedom, self.height, self.width = freedom, height, width

    def forward(self, images: Tensor, answers: Tensor) -> Tensor:
        if self.freedom == "rotation":
            maps = rotations(answers.flatten(), self.height, self.width)
        else:
            maps = answers.unflatten(1, (2, 3))
        return resampled(images, maps)

    def extra_repr(self) -> str:
        return self.freedom


class SpatialTransformer(nn.Module):
    """Resamples each image as its ``localisation`` network answers: (n, C, H, W) to (n, C, H, W).

    The localisation network begins with the identity, for every image.
    """

    def __init__(self, input_shape: Sequence[int], kernels: int, freedom: str) -> None:
        super().__init__()
        rows, columns = pooled_size("the localisation network of spatial_transformer", input_shape, (0, 1))
        last = nn.Linear(kernels, FREEDOMS[freedom])
        with torch.no_grad():
            last.weight.zero_()
            last.bias.zero_()
            if freedom == "affine":
                last.bias[[0, 4]] = 1.0
        steps: OrderedDict[str, nn.Module] = OrderedDict()
        channels = input_shape[0]
        for number in (1, 2):
            steps[f"c{number}"] = nn.Conv2d(channels, kernels, 5, padding=2)
            steps[f"c{number}act"] = nn.ReLU()
            steps[f"mp{number}"] = nn.MaxPool2d(2)
            channels = kernels
        steps |= {"fc1": LinearOnMap(kernels * rows * columns, kernels), "fc1act": nn.ReLU(), "fc2": last}
        self.localisation = nn.Sequential(steps)
        self.resample = Resample(freedom, *input_shape[1:])

    def forward(self, images: Tensor) -> Tensor:
        return self.resample(images, self.localisation(images))


def spatial_transformer(options: SpatialTransformerOptions, classes: int, input_shape: Sequence[int]) -> nn.Sequential:
    """A spatial transformer and a SimpleConv behind it.

    Modules: ``stn.localisation.c1``, ... ``stn.localisation.fc2``, ``stn.resample``, then those of SimpleConv.
    """
    classifier = simple_conv(options, classes, input_shape)
    (kernels,) = Layout((options.localisation,)).scaled(options.width).kernels
    steps: OrderedDict[str, nn.Module] = OrderedDict(stn=SpatialTransformer(input_shape, kernels, options.freedom))
    return nn.Sequential(steps | OrderedDict(classifier.named_children()))
