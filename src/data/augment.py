"""Batched augmentation and normalisation, on whatever device the images are.

The random numbers are drawn on the CPU from a stream named by (seed, epoch, step), so that a run that is continued
sees the same images as one that was never stopped, on any device.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from src.seeds import stream


class Draws(NamedTuple):
    """What happens to each image of a batch: offsets (n,) in 0..2*padding, and bool flips (n,)."""

    down: Tensor
    right: Tensor
    flipped: Tensor


def draw(count: int, *, crop_padding: int, flip: bool, seed: int, epoch: int, step: int) -> Draws:
    """Independent draws for each of `count` images, a pure function of the arguments; on the CPU."""
    generator = stream(seed, "augment", epoch, step)
    offsets = torch.randint(0, 2 * crop_padding + 1, (2, count), generator=generator)
    flipped = torch.rand(count, generator=generator) < 0.5 if flip else torch.zeros(count, dtype=torch.bool)
    return Draws(offsets[0], offsets[1], flipped)


def crop_and_flip(images: Tensor, draws: Draws, crop_padding: int) -> Tensor:
    """Pad with zeros, cut the old size out at each image's own offset, and flip left-right where drawn.

    Args:
        images: (n, C, H, W) of any type.
        draws: one row per image.
        crop_padding: pixels added on every side.

    Returns:
        (n, C, H, W) of the same type, in channels-last memory.
    """
    count, _, height, width = images.shape
    device = images.device
    down, right, flipped = (values.to(device, non_blocking=True) for values in draws)
    padded = torch.nn.functional.pad(images, (crop_padding,) * 4).permute(0, 2, 3, 1)
    across = torch.arange(width, device=device)
    columns = torch.where(flipped[:, None], across.flip(0), across) + right[:, None]  # (n, W)
    rows = torch.arange(height, device=device) + down[:, None]  # (n, H)
    number = torch.arange(count, device=device)[:, None, None]
    return padded[number, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)


def augment(
    images: Tensor, *, crop_padding: int = 0, flip: bool = False, seed: int = 0, epoch: int = 0, step: int = 0
) -> Tensor:
    """Random crops and flips of a batch (n, C, H, W); without either, the batch itself."""
    if not crop_padding and not flip:
        return images
    draws = draw(len(images), crop_padding=crop_padding, flip=flip, seed=seed, epoch=epoch, step=step)
    return crop_and_flip(images, draws, crop_padding)


def normalise(
    images: Tensor, mean: Sequence[float], std: Sequence[float], channels_last: bool = True, contrast: str = "none"
) -> Tensor:
    """uint8 (n, C, H, W) -> float32 (x - mean) / std per channel, of x in 0..1 or of `global_contrast`."""
    device = images.device
    whole = contrast == "global"
    scale = 1 / ((1 if whole else 255) * torch.tensor(std, dtype=torch.float64))
    shift = -torch.tensor(mean, dtype=torch.float64) / torch.tensor(std, dtype=torch.float64)
    values = global_contrast(images) if whole else images.to(torch.float32, copy=True)
    values = values.contiguous(memory_format=torch.channels_last) if channels_last else values.contiguous()
    # in place: `values` is a fresh copy
    values.mul_(scale.float().to(device)[:, None, None]).add_(shift.float().to(device)[:, None, None])
    return values


def global_contrast(images: Tensor) -> Tensor:
    """Global contrast normalisation: each image minus its mean, over its standard deviation, over all its values.

    Args:
        images: uint8 (n, C, H, W).

    Returns:
        float32 (n, C, H, W) with mean 0 and, but for an image of one single value, standard deviation 1.
    """
    # sums of whole numbers are exact: an image of one value becomes 0, not its rounding error over 1e-8
    total = images.sum((1, 2, 3), keepdim=True, dtype=torch.int64)
    centred = (images - (total.double() / images[0].numel()).float()) / 255
    return centred / centred.square().mean((1, 2, 3), keepdim=True).sqrt().clamp(min=1e-8)


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
