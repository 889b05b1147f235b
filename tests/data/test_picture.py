"""Files to pixels as they are seen."""

from __future__ import annotations

import io
import os
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from src.core.errors import UserError
from src.data.decoding import Cut
from src.data.decoding import decode as streamed
from src.data.picture import Choice, as_seen, choices_of, dimensions, events_of
from src.data.sources.fitting import decode


def encoded(picture: Image.Image, kind: str = "PNG", **more: object) -> bytes:
    content = io.BytesIO()
    picture.save(content, kind, **more)
    return content.getvalue()


@pytest.mark.parametrize("orientation", range(1, 9))
def test_an_orientation_is_applied_in_memory_and_streamed(orientation: int, tmp_path: Path) -> None:
    upright = np.zeros((64, 48, 3), np.uint8)  # one bright corner tells all eight apart
    upright[:24, :16] = 255
    undone = {1: 1, 2: 2, 3: 3, 4: 4, 5: 5, 6: 8, 7: 7, 8: 6}[orientation]
    turn, back = Image.Exif(), Image.Exif()
    turn[0x0112], back[0x0112] = orientation, undone
    stored = ImageOps.exif_transpose(Image.open(io.BytesIO(encoded(Image.fromarray(upright), exif=back))))
    file = tmp_path / "a.jpg"
    file.write_bytes(encoded(Image.fromarray(np.asarray(stored)), "JPEG", quality=100, exif=turn))
    seen = np.asarray(as_seen(file, "a").picture)
    assert dimensions(file, "a") == (48, 64) and seen.shape == upright.shape
    assert np.abs(seen.astype(int) - upright).mean() < 4
    assert choices_of(file, "a") == (("turned",) if orientation > 1 else ())
    small = decode(file, "a", 24, 3).permute(1, 2, 0).numpy().astype(int)
    assert small[:8, :6].min() > 200 and small[12:, 12:].max() < 60
    assert np.abs(streamed(str(file), Cut(24, 24)).astype(int) - small).mean() < 6


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P", "I;16 keyed"])
def test_transparent_pixels_show_the_background(mode: str) -> None:
    """Two shapes whose colours are the same and that differ in what is transparent."""
    shapes = []
    for rows in (slice(0, 8), slice(8, 16)):
        alpha = np.zeros((16, 16), np.uint8)
        alpha[rows] = 255
        if mode == "P":
            picture = Image.fromarray((alpha > 0).astype(np.uint8), "P")
            picture.putpalette([90, 90, 90, 10, 10, 10])
            content = encoded(picture, transparency=0)
        elif mode.startswith("I"):
            grey = Image.fromarray(np.where(alpha > 0, 10, 90).astype(np.uint8))
            content = encoded(grey, transparency=90)
        else:
            channels = [np.full((16, 16), 10, np.uint8)] * (len(mode) - 1)
            content = encoded(Image.fromarray(np.stack([*channels, alpha], 2), mode))
        assert choices_of(content, "x") == ("background",)
        for name, level in (("white", 255), ("black", 0), ("grey", 128)):
            seen = np.asarray(as_seen(content, "x", 1, name).picture)
            assert (seen[alpha == 0] == level).all() and (seen[alpha > 0] == 10).all()
        shapes.append(np.asarray(as_seen(content, "x").picture))
    assert (shapes[0] != shapes[1]).any()


def test_sixteen_bits_are_scaled_by_their_range_and_floats_of_0_to_1() -> None:
    ramp = np.arange(65536, dtype=np.uint16).reshape(256, 256)
    for content in (encoded(Image.fromarray(ramp)), encoded(Image.fromarray(ramp), "PPM"),
                    encoded(Image.fromarray(ramp), "TIFF")):  # fmt: skip
        seen = np.asarray(as_seen(content, "x", 1).picture)
        assert choices_of(content, "x") == ("levels",)
        assert np.array_equal(seen, np.round(ramp / 257).astype(np.uint8)) and len(np.unique(seen)) == 256
    unit = np.linspace(0, 1, 256, dtype=np.float32).reshape(16, 16)
    seen = np.asarray(as_seen(encoded(Image.fromarray(unit), "TIFF"), "x", 1).picture)
    assert np.array_equal(seen.ravel(), np.arange(256))
    for values in (unit * 255, unit - 0.5, unit * np.nan):
        with pytest.raises(UserError, match=r"deep\.tif: holds numbers outside 0\.\.1"):
            as_seen(encoded(Image.fromarray(values), "TIFF"), "deep.tif")
    with pytest.raises(UserError, match=r"deep\.tif: holds whole numbers of 32 bits"):
        as_seen(encoded(Image.fromarray(ramp.astype(np.int32)), "TIFF"), "deep.tif")


def test_cmyk_is_read_as_seen_and_of_several_frames_the_first() -> None:
    ink = encoded(Image.new("CMYK", (16, 16), (255, 0, 255, 0)), "JPEG", quality=95)  # cyan and yellow: green
    red, green, blue = np.asarray(as_seen(ink, "x").picture).mean((0, 1))
    assert green > 200 and red < 60 and blue < 60 and choices_of(ink, "x") == ()
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue")]
    moving = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert choices_of(moving, "x") == ("frame",)
    assert np.asarray(as_seen(moving, "x").picture)[0, 0].tolist() == [255, 0, 0]


def test_what_is_no_file_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "broken.png").symlink_to(tmp_path / "absent.png")
    (tmp_path / "empty.png").write_bytes(b"")
    for name in ("pipe.png", "folder.png", "broken.png", "empty.png", "absent.png"):
        for read in (as_seen, dimensions, choices_of):
            with pytest.raises(UserError, match=rf"{name}: not a readable image") as caught:
                read(tmp_path / name, name)
            assert "\n" not in str(caught.value)


def test_choices_are_counted() -> None:
    counts: Counter[Choice] = Counter(turned=3, background=1200)
    assert events_of(counts, "photos", 5000, "black") == [
        "data.source: 3 of 5,000 images of photos turned upright, as their EXIF orientation says",
        "data.source: 1,200 of 5,000 images of photos with an alpha channel, laid on black (source.background)",
    ]
    assert events_of(Counter(turned=3), "photos", 5000, "white", 100) == [
        "data.source: 3 of 100 images looked at (of 5,000) of photos turned upright, as their EXIF orientation says"
    ]
