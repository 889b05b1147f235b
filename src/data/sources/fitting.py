"""Images of any size and colour as uint8 tensors of the size and colour that were asked for."""

from collections.abc import Callable, Iterable
from pathlib import Path

import torch
from torch import Tensor
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional

from src.core.errors import UserError
from src.data.picture import Choice, as_seen

_CHUNK = 2048  # images resized together: bounds the float copy


def fit(
    images: Tensor,
    size: int | None,
    channels: int | None,
    crop: float | None = None,
    interpolation: str | None = None,
) -> Tensor:
    """uint8 (N, C, H, W) -> uint8 (N, channels, size, size): shorter side resized (anti-aliased), middle cut out.

    Args:
        size: images that have it already, and all where it is None, are neither resized nor cut.
        crop: the middle's side as a share of the shorter side; None: 1.
        interpolation: bilinear or bicubic; None: bilinear.
    """
    if channels == 1 and images.shape[1] == 3:
        images = functional.rgb_to_grayscale(images)
    elif channels == 3 and images.shape[1] == 1:
        images = images.expand(-1, 3, -1, -1).contiguous()
    if size is None or tuple(images.shape[-2:]) == (size, size):
        return images
    way = v2.InterpolationMode(interpolation or "bilinear")
    resize = v2.Compose([v2.Resize(int(size / (crop or 1)), way, antialias=True), v2.CenterCrop(size)])
    return torch.cat([resize(chunk) for chunk in images.split(_CHUNK)])


def decode(
    content: bytes | Path,
    origin: str,
    size: int | None,
    channels: int,
    crop: float | None = None,
    interpolation: str | None = None,
    background: str = "white",
    decided: Callable[[Choice], None] = lambda _: None,
) -> Tensor:
    """One encoded image as it is seen (`picture.as_seen`) -> uint8 (channels, H, W), resized and cut as by `fit`.

    Raises:
        UserError: the image cannot be read; the message names `origin`.
    """
    picture = as_seen(content, origin, channels, background, decided).picture
    return fit(functional.pil_to_tensor(picture).unsqueeze(0), size, None, crop, interpolation)[0]


def stacked(images: Iterable[Tensor], count: int, origin: str) -> Tensor:
    """At most ``count`` images of one shape -> (N, C, H, W).

    Raises:
        UserError: the shapes differ, so that a size must be chosen.
    """
    into, rows = torch.empty(0, 1, 0, 0, dtype=torch.uint8), 0
    for image in images:
        if not rows:
            into = torch.empty(count, *image.shape, dtype=torch.uint8)
        if image.shape != into.shape[1:]:
            (height, width), (high, wide) = into.shape[-2:], image.shape[-2:]
            raise UserError(
                f"{origin}: images differ in size ({width}x{height} and {wide}x{high}); set data.source.size=64 "
                "(pixels)"
            )
        into[rows] = image
        rows += 1
    return into[:rows]
