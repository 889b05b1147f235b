"""A folder that looks like the public cue-conflict images: a noisy disc of one thing's name on another's ground."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

SIDE = 32


def write_fake_conflicts(folder: Path) -> None:
    """Of three things, each shape with the texture of each, and one image with a single cue that is to be left out."""
    draw = np.random.default_rng(0)
    place, names = folder / "cue_conflict", ("cat", "dog", "elephant")
    place.mkdir(parents=True)
    rows, columns = np.indices((SIDE, SIDE))
    disc = (rows - SIDE / 2) ** 2 + (columns - SIDE / 2) ** 2 < (SIDE / 3) ** 2
    for s, shape in enumerate(names):
        for t, texture in enumerate(names):
            picture = draw.integers(0, 60, (SIDE, SIDE, 3), dtype=np.uint8)
            picture[..., t] += 90
            picture[disc, s] += 90
            Image.fromarray(picture).save(place / f"{shape}1-{texture}{t + 1}.png")
