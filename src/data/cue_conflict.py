"""Images that show the shape of one thing with the texture of another, in the layout of the public set.

Geirhos et al. (ICLR 2019, arXiv:1811.12231): files ``<shape><n>-<texture><n>.png``, in folders or as rows of a parquet
file with the columns ``img`` and ``name``. Images whose two cues are of one category are left out: they tell nothing.
"""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow.parquet as pq
import torch
from torch import Tensor

from src.core.errors import UserError
from src.core.shown import Shown
from src.data.listing import files_below
from src.data.sources import load_cached
from src.data.sources.fitting import decode, stacked
from src.data.sources.glyph_textures import TEXTURES

TEXTURED = tuple(name for name in TEXTURES if name != "solid")

_NAME = re.compile(r"([a-z]+)(\d+)-([a-z]+)(\d+)\.(?:png|jpe?g)")
_ONE_CUE = re.compile(r"[a-z]+\d+\.(?:png|jpe?g)")  # edges and silhouettes lie beside the public images


class Cues(NamedTuple):
    """The category and the number of the picture that each cue is from."""

    shape: str
    shape_number: int
    texture: str
    texture_number: int


@dataclass(frozen=True, eq=False)
class CueConflict(Shown):
    """Images with two cues.

    Attributes:
        images: uint8 (n, C, H, W). names: of their files. cues: what they show.
    """

    images: Tensor
    names: tuple[str, ...]
    cues: tuple[Cues, ...]

    @property
    def categories(self) -> tuple[str, ...]:
        """All that are shown as shape or texture, sorted."""
        return tuple(sorted({name for cues in self.cues for name in (cues.shape, cues.texture)}))

    def among(self, categories: Collection[str]) -> "CueConflict":
        """Only the images both of whose cues are of these categories.

        Raises:
            UserError: there is none.
        """
        rows = [row for row, cues in enumerate(self.cues) if {cues.shape, cues.texture} <= set(categories)]
        if not rows:
            raise UserError(f"study.conflicts: no image shows two of {', '.join(categories)}; take other images")
        names, cues = tuple(self.names[row] for row in rows), tuple(self.cues[row] for row in rows)
        return CueConflict(self.images[torch.tensor(rows)], names, cues)

    def numbers(self, key: str) -> Tensor:
        """int64 (n,): for ``shape`` and ``texture`` the category, for ``shape_source`` and ``texture_source`` one."""
        return cue_numbers(self.cues, key, self.categories)


def cue_numbers(cues: Sequence[Cues], key: str, categories: Sequence[str]) -> Tensor:
    """int64 (n,) of images: as `CueConflict.numbers`, categories numbered in the order given."""
    if key in ("shape", "texture"):
        number = {name: place for place, name in enumerate(categories)}
        return torch.tensor([number[getattr(each, key)] for each in cues], dtype=torch.int64)
    sources = [each[:2] if key == "shape_source" else each[2:] for each in cues]
    ranked = {source: place for place, source in enumerate(sorted(set(sources)))}
    return torch.tensor([ranked[source] for source in sources], dtype=torch.int64)


def cues_of(name: str) -> Cues | None:
    """Of a file's name, its last part after ``_`` or ``/``; None: it is not named so."""
    match = _NAME.fullmatch(re.split(r"[/_]", name)[-1])
    return Cues(match[1], int(match[2]), match[3], int(match[4])) if match else None


def listed(place: Path) -> list[tuple[str, Path | int]]:
    """Names of the images with two different cues, and each one's file or row of the parquet file, sorted by name.

    Raises:
        UserError: there is no such place, an image is not named as the public ones, or none has two cues.
    """
    if place.is_dir():
        rows: list[tuple[str, Path | int]] = [(path.name, path) for path in sorted(files_below(place, None))]
    elif place.is_file():
        rows = [(name, row) for row, name in enumerate(_columns(place)["name"])]
    else:
        raise UserError(f"study.conflicts={place}: no such folder or file; give one with cue-conflict images")
    chosen = []
    for name, where in rows:
        cues = cues_of(name)
        if cues is None and not _ONE_CUE.fullmatch(name):
            raise UserError(
                f"study.conflicts={place}: '{name}' is not named <shape><n>-<texture><n>.png; remove it or rename it"
            )
        if cues is not None and cues.shape != cues.texture:
            chosen.append((name, where))
    if not chosen:
        raise UserError(f"study.conflicts={place}: no image shows a shape and another thing's texture")
    return sorted(chosen, key=lambda pair: pair[0])


def read_cue_conflict(place: Path, size: int, channels: int, interpolation: str = "bilinear") -> CueConflict:
    """All images with two different cues, shorter side resized and the middle cut out.

    The public images are cut out already, so that a network's own crop is not applied to them: all see them whole.

    Raises:
        UserError: as :func:`listed`, or an image cannot be read.
    """
    rows = listed(place)
    cells = [] if place.is_dir() else _columns(place)["img"]
    images = []
    for name, where in rows:
        content = where if isinstance(where, Path) else cells[where]["bytes"]
        images.append(decode(content, f"{place}, {name}", size, channels, interpolation=interpolation))
    cues = tuple(shown for name, _ in rows if (shown := cues_of(name)) is not None)
    return CueConflict(stacked(images, len(images), str(place)), tuple(name for name, _ in rows), cues)


def conflicting_glyphs(classes: Sequence[str], **source: Any) -> CueConflict:
    """Drawn shapes with the texture of another class each.

    Args:
        classes: of the network, names of shapes; at most 7, in the order that gives each its texture.
        source: options of the glyphs (as in conf/data/glyphs_cues.yaml); their test images are drawn.

    Raises:
        UserError: a class is no shape, or there are more classes than textures.
    """
    if len(classes) > len(TEXTURED):
        raise UserError(
            f"study.conflicts=glyphs: of {len(classes)} classes each needs a texture of its own, and there are "
            f"{len(TEXTURED)}; take a network of fewer, as recipe=glyphs_cues trains one, or name some by data.classes"
        )
    given = {"textures": TEXTURED, "seed": 0, "test_per_class": 40, **source}
    given |= {"only": tuple(classes), "texture_coupling": 0.0, "shape_coupling": 1.0, "train_per_class": 1}
    drawn = load_cached("glyphs", given).test
    assert drawn.factors is not None
    names = list(TEXTURES)
    textures = {names.index(texture): name for texture, name in zip(given["textures"], classes, strict=False)}
    cues = tuple(
        Cues(classes[label], number, textures[texture], number)
        for number, (label, texture) in enumerate(
            zip(drawn.labels.tolist(), drawn.factors["texture"].tolist(), strict=True)
        )
    )
    return CueConflict(drawn.images, tuple(f"{a}{n}-{b}{n}.png" for a, n, b, _ in cues), cues)


def _columns(path: Path) -> dict[str, list[Any]]:
    try:
        table = pq.read_table(path)
        columns = {name: table[name].to_pylist() for name in ("img", "name") if name in table.column_names}
    except Exception as error:  # a damaged file makes the library raise whatever it meets
        reason = " ".join(str(error).split())[:120]
        raise UserError(f"study.conflicts={path}: not a whole parquet file ({reason}); give one, or a folder") from None
    missing = {"img", "name"} - set(columns)
    if missing:
        raise UserError(f"study.conflicts={path}: no column {', '.join(sorted(missing))}; it needs img and name")
    if not all(isinstance(name, str) for name in columns["name"]):
        raise UserError(f"study.conflicts={path}: column name holds other things than words; give names of files")
    if not all(isinstance(cell, dict) and isinstance(cell.get("bytes"), bytes) for cell in columns["img"]):
        raise UserError(f"study.conflicts={path}: column img holds other things than encoded images (bytes)")
    return columns
