"""Images of any size and colour as uint8 tensors of the size and colour that were asked for."""

import io
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional

from src.core.errors import UserError

_CHUNK = 2048  # images resized together: bounds the float copy


def check(size: int | None, channels: int | None) -> None:
    """Raise UserError unless size (pixels) and channels (1 or 3) can be made; None leaves the images as they are."""
    if size is not None and size < 1:
        raise UserError(f"data.source.size={size}: allowed are whole numbers from 1")
    if channels not in (None, 1, 3):
        raise UserError(f"data.source.channels={channels}: allowed are 1 and 3")


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
) -> Tensor:
    """One encoded image -> uint8 (channels, H, W), resized and cut as by `fit`.

    Raises:
        UserError: the image cannot be read; the message names `origin`.
    """
    with _opened(content, origin) as opened:
        picture = opened.convert("RGB" if channels == 3 else "L")
    return fit(functional.pil_to_tensor(picture).unsqueeze(0), size, None, crop, interpolation)[0]


def dimensions(content: bytes | Path, origin: str) -> tuple[int, int]:
    """Width and height of an encoded image, whose pixels are not read.

    Raises:
        UserError: it is none; the message names `origin`.
    """
    with _opened(content, origin) as opened:
        width, height = opened.size
    return width, height


@contextmanager
def _opened(content: bytes | Path, origin: str) -> Iterator[Image.Image]:
    try:
        with Image.open(content if isinstance(content, Path) else io.BytesIO(content)) as opened:
            yield opened
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise UserError(f"{origin}: not a readable image ({error}); replace or remove it") from error


def stacked(images: Iterable[Tensor], origin: str) -> Tensor:
    """Images of one shape -> (N, C, H, W).

    Raises:
        UserError: the shapes differ, so that a size must be chosen.
    """
    listed = list(images)
    shapes = sorted({tuple(image.shape[1:]) for image in listed})
    if len(shapes) > 1:
        some = " and ".join(f"{w}x{h}" for h, w in shapes[:2])
        raise UserError(f"{origin}: images differ in size ({some}); set data.source.size, e.g. size=64")
    return torch.stack(listed)
