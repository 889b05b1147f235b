"""What sensors, lenses and files do to images, where it is more than one operation of `src.imageops`.

Each takes float values (n, C, H, W) of 0..255, which it may overwrite, and a CPU generator.
"""

import io

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from src.imageops import blur, filters, warp


def gaussian_noise(values: Tensor, generator: torch.Generator, std: float) -> Tensor:
    """Every value plus a number of N(0, std)."""
    return values.add_(torch.randn(values.shape, generator=generator).to(values.device), alpha=255 * std)


def shot_noise(values: Tensor, generator: torch.Generator, photons: float) -> Tensor:
    """Counts of a Poisson process, on average `photons` where the value is the largest."""
    means = values.mul_(photons / 255).cpu()  # on the CPU, whose generator it is
    return torch.poisson(means, generator=generator).mul_(255 / photons).to(values.device)


def impulse_noise(values: Tensor, generator: torch.Generator, share: float) -> Tensor:
    """A share of the values becomes 0 or 255, as many one as the other."""
    drawn = torch.rand(values.shape, generator=generator).to(values.device)
    return values.masked_fill_(drawn < share / 2, 0).masked_fill_(drawn >= 1 - share / 2, 255)


def speckle_noise(values: Tensor, generator: torch.Generator, std: float) -> Tensor:
    """Every value times a number of N(1, std)."""
    return values.mul_(torch.randn(values.shape, generator=generator).mul_(std).add_(1).to(values.device))


def glass_blur(values: Tensor, generator: torch.Generator, sigma: float, reach: float, passes: float) -> Tensor:
    """A Gaussian, pixels that take their neighbours' values, and the Gaussian again."""
    # rounded down, but for what only rounding errors keep below a whole number
    blurred = filters.gaussian(values, sigma).add_(1e-3).floor_()
    return filters.gaussian(warp.frosted(blurred, int(reach), int(passes), generator), sigma)


def motion_blur(values: Tensor, generator: torch.Generator, radius: float, sigma: float) -> Tensor:
    """Along a direction up to 45 degrees off the horizontal."""
    angles = torch.rand(len(values), generator=generator) * 90 - 45
    return blur.motion(values, int(radius), sigma, angles).round_()


def elastic_transform(
    values: Tensor, generator: torch.Generator, strength: float, sigma: float, jitter: float
) -> Tensor:
    """A random affine map, then each pixel displaced by smooth noise; lengths are shares of the shorter side.

    Three corners of a square, a third of the side from the middle, are moved each by its own random step.
    """
    count, _, height, width = values.shape
    side = min(height, width)
    reach = side // 3
    middle = torch.tensor([width // 2, height // 2])
    corners = middle + torch.tensor([[reach, reach], [reach, -reach], [-reach, -reach]])
    moved = corners + (torch.rand(count, 3, 2, generator=generator) * 2 - 1) * jitter * side
    ones = torch.ones(count, 3, 1)
    inverse = torch.linalg.solve(torch.cat([moved, ones], 2).double(), corners.double().expand(count, 3, 2)).float()
    values = warp.affine(values, inverse)
    if not strength:
        return values
    noise = torch.rand(count, 2, height, width, generator=generator).to(values.device).mul_(2).sub_(1)
    shifts = filters.gaussian(noise, sigma * side, border="symmetric", truncate=3.0)
    return warp.displace(values, shifts.mul(strength * side))


def jpeg_compression(values: Tensor, generator: torch.Generator, quality: float) -> Tensor:
    """Written and read at a quality by Pillow, as the published images were: uint8 on the values' device.

    Images on an accelerator are brought to the host and back, a block at a time: their bits are then those of the CPU,
    which no codec of another device has. By Pillow and not by torchvision, whose codec gives the same bits, but is
    deprecated since 0.29.
    """
    images = values.to("cpu", torch.uint8).movedim(1, 3).contiguous().numpy()
    made = np.empty_like(images)
    for image, into in zip(images, made, strict=True):
        file = io.BytesIO()
        Image.fromarray(image.squeeze()).save(file, "JPEG", quality=int(quality))  # grey images have two axes
        into[...] = np.asarray(Image.open(file, formats=["JPEG"])).reshape(image.shape)
    return torch.from_numpy(made).movedim(3, 1).to(values.device)
