"""Batched augmentation and normalisation, on whatever device the images are.

The random numbers are drawn on the CPU from a stream named by (seed, epoch, step), so that a run that is continued
sees the same images as one that was never stopped, on any device.
"""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, NamedTuple

import torch
from annotated_types import Ge
from torch import Tensor

from src.core.errors import UserError
from src.core.options import Count, Whole, check_value
from src.core.seeds import stream
from src.imageops.transformations import RandomTransformation
from src.imageops.whitening import global_contrast

FLIP_AXES = ("left_right", "up_down")
ALLOWED = {
    "crop_padding": Whole,
    "flip": bool,
    "crop": Count,
    "flip_axis": Literal[FLIP_AXES],
    "rgb_pca": Annotated[float, Ge(0)],
}
KEYS = (*ALLOWED, "transformation")
CHUNK = 4096  # images whose colours are summed at once


class Draws(NamedTuple):
    """What happens to each image of a batch: offsets (n,) in 0..2*padding (+ spare), and bool flips (n,)."""

    down: Tensor
    right: Tensor
    flipped: Tensor


def checked(options: dict[str, Any]) -> dict[str, Any]:
    """The augmentation itself.

    Raises:
        UserError: a value is not allowed.
    """
    for key, value in options.items():
        if key == "transformation":
            random_transformation(value)
        else:
            check_value(ALLOWED[key], value, f"data.augment.{key}")
    return options


def random_transformation(options: Mapping[str, Any]) -> RandomTransformation:
    """The transformation of which each training image goes through a random member; UserErrors name its keys."""
    return RandomTransformation(options, "data.augment.transformation")


def draw_transformations(options: Mapping[str, Any], count: int, *, seed: int, epoch: int, step: int) -> Tensor:
    """Which member each of `count` images goes through: its parameters (n, p), a pure function of the arguments."""
    return random_transformation(options).draw(count, stream(seed, "transformation", epoch, step))


def transform(images: Tensor, options: Mapping[str, Any], parameters: Tensor) -> Tensor:
    """uint8 (n, C, H, W), each image through the member of its parameters (n, p)."""
    return random_transformation(options).apply(images, parameters)


def check_crop(crop: int | None, shape: Sequence[int]) -> None:
    """UserError where images (C, H, W) are smaller than what is to be cut out of them."""
    if crop is not None and crop > min(shape[1:]):
        raise UserError(
            f"data.augment.crop={crop}: the images have {shape[1]}x{shape[2]} pixels; take at most {min(shape[1:])}"
        )


def draw(
    count: int, *, crop_padding: int, flip: bool, seed: int, epoch: int, step: int, spare: tuple[int, int] = (0, 0)
) -> Draws:
    """Independent draws for each of `count` images, a pure function of the arguments; on the CPU.

    Args:
        spare: rows and columns that an image has more than what is cut out.
    """
    generator = stream(seed, "augment", epoch, step)
    down, right = (2 * crop_padding + more + 1 for more in spare)
    if down == right:
        offsets = torch.randint(0, down, (2, count), generator=generator)
    else:
        offsets = torch.stack([torch.randint(0, end, (count,), generator=generator) for end in (down, right)])
    flipped = torch.rand(count, generator=generator) < 0.5 if flip else torch.zeros(count, dtype=torch.bool)
    return Draws(offsets[0], offsets[1], flipped)


def spare_of(images: Tensor, crop: int | None) -> tuple[int, int]:
    """Rows and columns that images (n, C, H, W) have more than the crop."""
    height, width = images.shape[2:]
    return (0, 0) if crop is None else (height - crop, width - crop)


def crop_and_flip(
    images: Tensor, draws: Draws, crop_padding: int, crop: int | None = None, flip_axis: str = FLIP_AXES[0]
) -> Tensor:
    """Pad with zeros, cut the old size (or ``crop``) out at each image's own offset, and flip where drawn.

    Args:
        images: (n, C, H, W) of any type.
        crop_padding: pixels added on every side.
        crop: side of what is cut out, in pixels; None: the images' own size.
        flip_axis: what is swapped, ``left_right`` or ``up_down``.

    Returns:
        (n, C, H, W) or (n, C, crop, crop) of the same type, in channels-last memory.
    """
    count, _, height, width = images.shape
    device = images.device
    down, right, flipped = (values.to(device, non_blocking=True) for values in draws)
    padded = torch.nn.functional.pad(images, (crop_padding,) * 4).permute(0, 2, 3, 1)
    columns = torch.arange(crop or width, device=device).expand(count, -1)  # (n, W)
    rows = torch.arange(crop or height, device=device).expand(count, -1)  # (n, H)
    if flip_axis == "up_down":
        rows = torch.where(flipped[:, None], rows.flip(1), rows)
    else:
        columns = torch.where(flipped[:, None], columns.flip(1), columns)
    rows, columns = rows + down[:, None], columns + right[:, None]
    number = torch.arange(count, device=device)[:, None, None]
    return padded[number, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)


def centre(images: Tensor, crop: int | None) -> Tensor:
    """The middle (n, C, crop, crop) of images (n, C, H, W), rounded up and left; a view."""
    if crop is None:
        return images
    down, right = (more // 2 for more in spare_of(images, crop))
    return images[:, :, down : down + crop, right : right + crop]


def normalise(
    images: Tensor, mean: Sequence[float], std: Sequence[float], channels_last: bool = True, contrast: str = "none"
) -> Tensor:
    """uint8 (n, C, H, W) -> float32 (x - mean) / std per channel, of x in 0..1 or of `global_contrast`.

    Floats, which are whitened images, are x themselves.
    """
    device = images.device
    whole = contrast == "global"
    scale = 1 / ((1 if whole or images.is_floating_point() else 255) * torch.tensor(std, dtype=torch.float64))
    shift = -torch.tensor(mean, dtype=torch.float64) / torch.tensor(std, dtype=torch.float64)
    values = global_contrast(images) if whole else images.to(torch.float32, copy=True)
    values = values.contiguous(memory_format=torch.channels_last) if channels_last else values.contiguous()
    # in place: `values` is a fresh copy
    values.mul_(scale.float().to(device)[:, None, None]).add_(shift.float().to(device)[:, None, None])
    return values


def channel_statistics(images: Tensor, contrast: str = "none") -> tuple[list[float], list[float]]:
    """Mean and standard deviation per channel of uint8 (N, C, H, W); std is at least 1/255.

    Of values in 0..1, or with contrast ``global`` of `global_contrast`.
    """
    if contrast == "global":
        return _contrast_statistics(images)
    # counts of the 256 values are exact, and need no float copy of the set
    mean, std = [], []
    levels = torch.arange(256, dtype=torch.float64) / 255
    for channel in range(images.shape[1]):
        counts = torch.zeros(256, dtype=torch.float64)
        for chunk in images[:, channel].split(4096):
            counts += torch.bincount(chunk.flatten().int(), minlength=256)
        share = counts / counts.sum()
        centre = (share * levels).sum()
        mean.append(float(centre))
        std.append(max(float((share * (levels - centre) ** 2).sum().sqrt()), 1 / 255))
    return mean, std


def _contrast_statistics(images: Tensor) -> tuple[list[float], list[float]]:
    first, second = (torch.zeros(images.shape[1], dtype=torch.float64) for _ in range(2))
    for chunk in images.split(4096):
        values = global_contrast(chunk).double()
        first += values.sum((0, 2, 3))
        second += values.square().sum((0, 2, 3))
    count = images.numel() / images.shape[1]
    mean = first / count
    return mean.tolist(), (second / count - mean.square()).clamp(min=0).sqrt().clamp(min=1 / 255).tolist()


def colour_components(images: Tensor) -> Tensor:
    """The principal components of the pixels, as rows of the length of a standard deviation, in grey levels.

    As in AlexNet (Krizhevsky et al., NeurIPS 2012): to every pixel of an image the same colour is added, the sum over
    the components of a number from N(0, std) times the component. The paper has the eigenvalue for its length, which is
    a variance and would depend on the unit of the pixels.

    The thesis that these options are of (L. Friedrichsen 2020) deviates: its components are those of the images' mean
    colours, standardised per channel, it takes the rows of the eigenvectors' matrix for its columns, and it scales by
    the squared eigenvalue times 127.5, which makes the shifts far stronger.

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
