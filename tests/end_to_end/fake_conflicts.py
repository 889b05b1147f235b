"""Files that look like the public cue-conflict images, and photographs with ImageNet's labels."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

SIDE = 32


def write_photographs(place: Path) -> None:
    """Two small pictures with ImageNet's labels: bars, which have edges."""
    cells = []
    for number in (0, 1):
        written = io.BytesIO()
        picture = np.full((40, 48 + number, 3), (90, 120 * number, 40), np.uint8)
        picture[:, 8:16] = picture[12:20] = 200
        Image.fromarray(picture).save(written, "PNG")
        cells.append({"bytes": written.getvalue(), "path": None})
    pq.write_table(pa.table({"img": cells, "label": [0, 995]}), place)


def write_fake_conflicts(folder: Path) -> None:
    """Discs in the colour of one thing on the ground of another, of three; those with one cue are to be left out."""
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
    write_photographs(folder / "imagenet_photographs.parquet")
