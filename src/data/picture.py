"""One image file to pixels as they are seen: upright, on a background, in 8 bits, in grey or in colour.

What a file leaves open is decided by a rule, and the decisions of a data set are counted (:func:`events_of`):

- an EXIF orientation is applied;
- transparent pixels show the background;
- grey levels of 16 bits are divided by 257, numbers of 0..1 multiplied by 255; other depths are refused;
- of several frames the first is taken.
"""

import io
import stat
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
from PIL import ExifTags, Image, ImageColor, ImageOps

from src.core.errors import UserError

ENDINGS = frozenset(
    {".png", ".jpg", ".jpeg", ".jfif", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".ppm", ".pgm", ".avif"}
)
"""Of the files that are taken for images."""
Background = Literal["white", "black", "grey"]
"""What transparent pixels show."""
Choice = Literal["turned", "background", "levels", "frame"]
"""What is decided where a file leaves it open."""

SIDES = (32, 48, 64)
"""What images of other sizes are brought to where nobody says; 64 pixels are what a laptop trains on in minutes."""
LOOKED_AT = 256  # images, to guess a size

_WORDS: dict[Choice, str] = {
    "turned": "turned upright, as their EXIF orientation says",
    "background": "with an alpha channel, laid on {background} (source.background)",
    "levels": "with more than 8 bits: levels are divided by 257 (16 bits), or multiplied by 255 (numbers of 0..1)",
    "frame": "of several frames, of which the first is taken",
}
_DEEP = ("I;16", "I;16B", "I;16L", "I;16N", "I", "F")
_LONGEST = 1000  # sides: of an image's longer to its shorter; more is damage
_ONE_PICTURE = ("MPO",)  # a camera's second frame is a thumbnail or the other eye's


@contextmanager
def _opened(content: bytes | Path, origin: str) -> Iterator[Image.Image]:
    try:
        if isinstance(content, Path) and not stat.S_ISREG(content.stat().st_mode):
            raise OSError(
                "not a file with a content: a folder, a pipe or a device"
            )  # opening a pipe would wait for ever
        with Image.open(content if isinstance(content, Path) else io.BytesIO(content)) as opened:
            yield opened
    except UserError:
        raise
    except Exception as error:  # decoders of damaged files raise whatever they meet
        reason = " ".join(str(error).split())[:120] or type(error).__name__
        raise UserError(f"{origin}: not a readable image ({reason}); replace or remove it") from error


def choices_of(content: bytes | Path, origin: str) -> tuple[Choice, ...]:
    """What :func:`as_seen` decides about a file, of which only the header is read.

    Raises:
        UserError: it is no image.
    """
    with _opened(content, origin) as opened:
        return _choices(opened)


def _choices(opened: Image.Image) -> tuple[Choice, ...]:
    decided: dict[Choice, bool] = {
        "turned": _turn(opened) != 1,
        "background": opened.has_transparency_data,
        "levels": opened.mode in _DEEP,
        "frame": getattr(opened, "is_animated", False) and opened.format not in _ONE_PICTURE,
    }
    return tuple(choice for choice, holds in decided.items() if holds)


class Seen(NamedTuple):
    """A picture in mode ``RGB`` or ``L``, and width and height of the whole image, which may have more pixels."""

    picture: Image.Image
    size: tuple[int, int]


def as_seen(
    content: bytes | Path,
    origin: str,
    channels: int = 3,
    background: str = "white",
    decided: Callable[[Choice], None] = lambda _: None,
    at_least: int | None = None,
) -> Seen:
    """An encoded image upright, in colour (3 channels) or grey (1).

    Args:
        origin: what it is called in messages.
        decided: is called with each decision.
        at_least: pixels of the shorter side that are enough; a JPEG then decodes to a half, quarter or eighth for less.

    Raises:
        UserError: it cannot be read, or its values have no known range.
    """
    with _opened(content, origin) as opened:
        for choice in _choices(opened):
            decided(choice)
        size, transparent = _upright_size(opened), opened.has_transparency_data
        if max(size) > _LONGEST * min(size):  # resized by its shorter side it would fill the memory
            raise UserError(f"{origin}: an image of {size[0]}x{size[1]} pixels; cut it, or remove it")
        if at_least is not None:
            opened.draft(None, (at_least, at_least))
        ImageOps.exif_transpose(opened, in_place=True)
        picture = _in_8_bits(opened, origin) if opened.mode in _DEEP else opened
        if transparent:
            layer = picture.convert("RGBA")
            below = Image.new("RGBA", layer.size, ImageColor.getcolor(background, "RGBA"))
            picture = Image.alpha_composite(below, layer)
        mode = "RGB" if channels == 3 else "L"
        picture.load()
        return Seen(picture if picture.mode == mode else picture.convert(mode), size)


def _in_8_bits(opened: Image.Image, origin: str) -> Image.Image:
    values = np.asarray(opened)
    if opened.mode.startswith("I;16") or (opened.mode == "I" and opened.format == "PPM"):
        scaled = (values.astype(np.uint32) + 128) // 257
    elif opened.mode == "F" and values.size and np.isfinite(values).all() and 0 <= values.min() <= values.max() <= 1:
        scaled = np.round(values * 255)
    else:
        kind = "whole numbers of 32 bits" if opened.mode == "I" else "numbers outside 0..1"
        raise UserError(f"{origin}: holds {kind}, whose black and white are not known; save it with 8 or 16 bits")
    return Image.fromarray(scaled.astype(np.uint8))


def _turn(opened: Image.Image) -> int:
    """The EXIF orientation, 1 to 8."""
    orientation = opened.getexif().get(ExifTags.Base.Orientation, 1)
    return orientation if orientation in range(1, 9) else 1


def _upright_size(opened: Image.Image) -> tuple[int, int]:
    width, height = opened.size
    return (height, width) if _turn(opened) >= 5 else (width, height)


def dimensions(content: bytes | Path, origin: str) -> tuple[int, int]:
    """Width and height of an encoded image as it is seen; its pixels are not read.

    Raises:
        UserError: it is none; the message names `origin`.
    """
    with _opened(content, origin) as opened:
        return _upright_size(opened)


def events_of(
    counts: Mapping[Choice, int], origin: str, images: int, background: str, looked_at: int | None = None
) -> list[str]:
    """One line for each decision about so many images of a place, of which all or some were looked at."""
    some = "" if looked_at in (None, images) else f" looked at (of {images:,})"
    return [
        f"data.source: {counts[choice]:,} of {looked_at or images:,} images{some} of {origin} "
        + words.format(background=background)
        for choice, words in _WORDS.items()
        if counts.get(choice)
    ]


def usual_side(sizes: Sequence[tuple[int, int]]) -> tuple[int, str]:
    """The side that images of such widths and heights are best brought to, and why; of none the smallest.

    It is the one that all have, within `SIDES`; else the largest of these that half of the shorter sides have.
    """
    if len(set(sizes)) == 1 and SIDES[0] <= sizes[0][0] == sizes[0][1] <= SIDES[-1]:
        return sizes[0][0], f"all images have {sizes[0][0]}x{sizes[0][0]} pixels"
    shorter = sorted(map(min, sizes)) or [0]
    middle = shorter[len(shorter) // 2]
    side = max((side for side in SIDES if side <= middle), default=SIDES[0])
    return side, f"shorter sides of {shorter[0]} to {shorter[-1]} pixels, half of them from {middle}"
