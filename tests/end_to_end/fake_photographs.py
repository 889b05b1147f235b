"""A folder of images as people have them: spaces and umlauts, many modes and sizes, files and folders of the system."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

CLASSES = ("cat", "Kätzchen groß", "dog", "10", "bird")
PER_CLASS = 20


def write_photographs(root: Path) -> None:
    """The class is the colour, which a network learns at once; every mode and kind of file stands for some images."""
    draw = np.random.default_rng(0)
    for label, name in enumerate(CLASSES):
        folder = root / name
        folder.mkdir(parents=True)
        for number in range(PER_CLASS):
            shape = (36 + number % 3, 40 - number % 5, 3)
            colour = np.array([(label & 1) * 150, (label >> 1 & 1) * 150, (label >> 2 & 1) * 150])
            pixels = (draw.integers(0, 100, shape) + colour).astype(np.uint8)
            picture, place = Image.fromarray(pixels), folder / f"bild {number} ü"
            match number % 5:
                case 0:
                    picture.convert("RGBA").save(place.with_suffix(".PNG"))
                case 1:
                    picture.convert("CMYK").save(place.with_suffix(".jpg"), quality=95)
                case 2:
                    exif = Image.Exif()
                    exif[0x0112] = 6
                    picture.save(place.with_suffix(".jpeg"), exif=exif, quality=95)
                case 3:
                    picture.convert("P").save(place.with_suffix(".gif"))
                case _:
                    picture.save(place.with_suffix(".tif"))
        (folder / "._bild.png").write_bytes(b"Mac OS X")
    (root / ".ipynb_checkpoints").mkdir()
    (root / "notes.txt").write_text("not an image")
