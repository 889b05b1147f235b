"""Boxes around objects, read beside images: mapped through the resize and the cut of `fitting.fit`, drawn as masks.

Pascal VOC (Everingham et al., IJCV 2010), as ImageNet lays it out: one XML per image, called like it, in any folders.
Or a table, CSV or parquet, a row per object, in the columns `COLUMNS`. All coordinates are pixels of the image from its
upper left corner, (x, y) in files and (row, column) in masks.
"""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal, NamedTuple

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import torch
from torch import Tensor

from src.core.errors import UserError
from src.core.shown import Shown
from src.data.listing import files_below
from src.data.picture import ENDINGS

CORNERS = ("xmin", "ymin", "xmax", "ymax")
COLUMNS = ("filename", "width", "height", *CORNERS)
ASPECT = 0.02  # how far apart an image's aspect and its annotation's may be: an image that was made smaller is rounded
_CHUNK = 256  # boxes drawn together

Objects = Literal["union", "largest", "single"]
"""Of the objects of an image: all of them, the largest, or only images with a single one."""
BoxMapping = Literal["correct", "original"]
"""``original``: as M. Bütner (thesis, Bamberg 2020) put them, each axis by itself: wrong unless an image is square."""
Size = tuple[int, int]  # width, height in pixels


class Annotation(NamedTuple):
    """The objects of one image: its size as the annotation has it, and corners (xmin, ymin, xmax, ymax) of each."""

    size: Size
    corners: list[tuple[float, float, float, float]]


class Annotations:
    """All annotations of a place; an XML is only read for an image that is asked for.

    Args:
        place: a folder with XML files, or a CSV or parquet file.

    Raises:
        UserError: there is no such place, it holds no XML, or the table cannot be read or lacks a column.
    """

    def __init__(self, place: Path) -> None:
        self.place = place
        if place.is_dir():
            files = sorted(files_below(place, {".xml"}))
            self._files = {PurePosixPath(path.relative_to(place).as_posix()): path for path in files}
            self._rows: dict[PurePosixPath, Annotation] = {}
        else:
            self._files, self._rows = {}, _rows_of(place)
        if not self._files and not self._rows:
            raise UserError(f"data.source.boxes={place}: holds no annotation; give a folder of XML files, or a table")

    def of(self, names: Sequence[PurePosixPath]) -> list[Annotation | None]:
        """Those of images by their paths below a folder of classes; None: an image has none.

        An image is found by its name without ending; where names are not unique, by that and its folder.

        Raises:
            UserError: an XML is no annotation of Pascal VOC.
        """
        places = [*self._files, *self._rows]
        unique = all(len({_stem(name) for name in listed}) == len(listed) for listed in (list(names), places))

        def key(name: PurePosixPath) -> tuple[str, ...]:
            return (_stem(name),) if unique else (name.parent.name, _stem(name))

        known = {key(name): name for name in places}
        chosen = (known.get(key(name)) for name in names)
        return [None if name is None else self._read(name) for name in chosen]

    def _read(self, name: PurePosixPath) -> Annotation:
        return self._rows[name] if name in self._rows else read_voc(self._files[name])


def read_voc(path: Path) -> Annotation:
    """One XML of Pascal VOC.

    Raises:
        UserError: it is something else.
    """
    try:
        root = ElementTree.parse(path).getroot()
    except (OSError, ElementTree.ParseError) as error:
        raise UserError(f"{path}: not an XML file ({error}); replace or remove it") from None
    numbers = [
        [_number(part.findtext(word)) for word in words]
        for part, words in (
            (root.find("size"), ("width", "height")),
            *((each.find("bndbox"), CORNERS) for each in root.iter("object")),
        )
        if part is not None
    ]
    expected = 1 + sum(1 for _ in root.iter("object"))
    if root.tag != "annotation" or len(numbers) != expected or any(value is None for row in numbers for value in row):
        raise UserError(
            f"{path}: not an annotation of Pascal VOC; expected <annotation> with <size> (width, height) and each "
            f"<object> with <bndbox> ({', '.join(CORNERS)}) in numbers"
        )
    (width, height), *corners = ([value for value in row if value is not None] for row in numbers)
    return _annotation(str(path), width, height, corners)


def _number(text: str | None) -> float | None:
    try:
        value = float(text or "")
    except ValueError:
        return None
    return value if value - value == 0 else None  # not infinite, and a number


def _annotation(origin: str, width: float, height: float, corners: Sequence[Sequence[float]]) -> Annotation:
    if width < 1 or height < 1:
        raise UserError(f"{origin}: an image of {width:g}x{height:g} pixels; give its width and height in pixels")
    listed = []
    for left, top, right, bottom in corners:
        if left > right or top > bottom:
            raise UserError(
                f"{origin}: a box from ({left:g}, {top:g}) to ({right:g}, {bottom:g}); xmin and ymin come first: swap"
            )
        listed.append((left, top, right, bottom))
    return Annotation((int(width), int(height)), listed)


def _rows_of(place: Path) -> dict[PurePosixPath, Annotation]:
    """The rows of a table by image; rows without corners are images without objects."""
    if not place.is_file():
        raise UserError(f"data.source.boxes={place}: no such folder or file; give XML files or a table, or null")
    try:
        table = pq.read_table(place) if place.suffix == ".parquet" else pyarrow.csv.read_csv(place)
        known = table.column_names
    except Exception as error:  # a damaged file makes the library raise whatever it meets
        reason = " ".join(str(error).split())[:120]
        raise UserError(f"data.source.boxes={place}: not a whole CSV or parquet file ({reason}); give one") from None
    missing = [name for name in COLUMNS if known.count(name) != 1]
    if missing:
        raise UserError(f"data.source.boxes={place}: no column {', '.join(missing)}; it needs "
                        f"{', '.join(COLUMNS)}")  # fmt: skip
    columns = []
    for name in COLUMNS:
        try:
            kind = table[name].type
            columns.append((table[name] if name == "filename" else table[name].cast(pa.float64())).to_pylist())
        except (pa.ArrowException, UnicodeDecodeError):
            words = "words" if name == "filename" else "numbers"
            raise UserError(f"data.source.boxes={place}: column {name} holds {kind}, expected {words}") from None
    images: dict[PurePosixPath, Annotation] = {}
    for filename, *values in zip(*columns, strict=True):
        width, height, *corners = values
        if filename is None or width is None or height is None:
            raise UserError(f"data.source.boxes={place}: a row lacks filename, width or height; complete it")
        absent = any(value is None or value != value for value in corners)
        read = _annotation(f"{place}, {filename}", width, height, [] if absent else [corners])
        before = images.setdefault(PurePosixPath(str(filename).replace("\\", "/")), Annotation(read.size, []))
        before.corners.extend(read.corners)
    return images


def _stem(name: PurePosixPath) -> str:
    return name.stem if name.suffix.lower() in {".xml", *ENDINGS} else name.name


def mapped(
    corners: Tensor, sizes: Tensor, side: int | None, crop: int | None = None, mapping: BoxMapping = "correct"
) -> Tensor:
    """Where boxes lie after an image's shorter side was made ``side`` pixels and its middle ``crop`` cut out.

    Args:
        corners: (m, 4), xmin, ymin, xmax, ymax in pixels of the whole image.
        sizes: (m, 2), width and height of the image that each box is of.
        side: None: the image is as it was.
        crop: None: ``side``.

    Returns:
        float64 (m, 4) within the frame; what lies outside has no area, or less than none.
    """
    corners, sizes = corners.double(), sizes.double()
    if side is None:
        return torch.minimum(corners.clamp_min(0), sizes.repeat(1, 2))
    crop = side if crop is None else crop
    if mapping == "original":
        moved = (corners * side / sizes.repeat(1, 2) - (side - crop) / 2).trunc()
    else:
        # torchvision cuts fractions off the longer side, and rounds the border that is cut off half to even
        resized = (side * sizes / sizes.amin(1, keepdim=True)).floor()
        moved = corners * (resized / sizes).repeat(1, 2) - ((resized - crop) / 2).round().repeat(1, 2)
    return moved.clamp(0, crop)


@dataclass(frozen=True, eq=False)
class Boxes(Shown):
    """Boxes in the frame of n images.

    Attributes:
        corners: float64 (m, 4). image: int64 (m,), which of the images each is of.
    """

    corners: Tensor
    image: Tensor

    def masks(self, count: int, height: int, width: int) -> Tensor:
        """uint8 (count, H, W): 1 where the middle of a pixel lies in a box of the image."""
        drawn = torch.zeros(count, height, width, dtype=torch.uint8)
        row, column = torch.arange(height) + 0.5, torch.arange(width) + 0.5
        for corners, image in zip(self.corners.split(_CHUNK), self.image.split(_CHUNK), strict=True):
            left, top, right, bottom = corners[:, :, None].unbind(1)
            down, across = (row >= top) & (row < bottom), (column >= left) & (column < right)
            drawn.index_add_(0, image, (down[:, :, None] & across[:, None]).to(torch.uint8))
        return drawn.clamp_(max=1)


class Boxed(NamedTuple):
    """The images that have an object: int64 (n,) positions among all, their boxes, and what there is to say."""

    images: Tensor
    boxes: Boxes
    events: tuple[str, ...]


def boxes_of(
    annotations: Annotations,
    names: Sequence[PurePosixPath],
    size_of: Callable[[int], Size],
    side: int | None,
    objects: Objects,
    mapping: BoxMapping,
    crop: float | None = None,
) -> Boxed:
    """Boxes of images in the frame that `fitting.fit` makes of them; images without one are left out and counted.

    Args:
        names: of all images, as :meth:`Annotations.of` takes them.
        size_of: width and height of the image at a position, before it is resized.
        side, crop: as ``size`` and ``crop`` of `fitting.fit`.

    Raises:
        UserError: no image has an object that can be seen, or an image has another aspect than its annotation.
    """
    corners, sizes, image = [], [], []
    absent = several = beyond = 0
    for position, annotation in enumerate(annotations.of(names)):
        boxes = [] if annotation is None else annotation.corners
        if annotation is None or not boxes:
            absent += 1
            continue
        if objects == "single" and len(boxes) > 1:
            several += 1
            continue
        if objects == "largest":
            boxes = [max(boxes, key=lambda box: (box[2] - box[0]) * (box[3] - box[1]))]
        size = size_of(position)
        scale = _scale(annotation.size, size, str(names[position]), annotations.place)
        corners += [[value * scale[axis % 2] for axis, value in enumerate(box)] for box in boxes]
        beyond += sum(min(box) < 0 or box[2] > annotation.size[0] or box[3] > annotation.size[1] for box in boxes)
        sizes += [size] * len(boxes)
        image += [position] * len(boxes)
    whole = torch.tensor(corners, dtype=torch.float64).view(-1, 4)
    resized = None if side is None else int(side / (crop or 1))
    moved = mapped(whole, torch.tensor(sizes).view(-1, 2), resized, side, mapping)
    first, last = (moved - 0.5).ceil().split(2, 1)  # the pixels whose middle lies within: first to last, without it
    seen = (first < last).all(1)
    positions, numbers = torch.tensor(image, dtype=torch.int64)[seen].unique(return_inverse=True)
    hidden = len(set(image)) - len(positions)
    lacking = f"{absent} without a box, {several} with several objects, {hidden} whose object is cut off"
    if not len(positions):
        raise UserError(
            f"data.source.boxes={annotations.place}: none of {len(names)} images has an object ({lacking}); the names "
            f"of images, such as {names[0]}, have to be those of the annotations"
        )
    events = []
    if len(positions) < len(names):
        events.append(f"data.source.boxes: {len(names) - len(positions)} of {len(names)} images left out, {lacking}")
    if beyond:
        events.append(f"data.source.boxes: {beyond} boxes reach beyond their image and are cut off at its border")
    if mapping == "original":
        events.append("data.source.box_mapping=original: boxes lie where the original put them, not at the objects")
    return Boxed(positions, Boxes(moved[seen], numbers), tuple(events))


def _scale(annotated: Size, size: Size, name: str, place: Path) -> tuple[float, float]:
    """Of an image that was made smaller after it was annotated, along x and y."""
    across, down = size[0] / annotated[0], size[1] / annotated[1]
    # a pixel of rounding is more than two hundredths of a small image
    if abs(across - down) > max(ASPECT * max(across, down), 1 / min(annotated)):
        raise UserError(
            f"data.source.boxes={place}: {name} has {size[0]}x{size[1]} pixels, {annotated[0]}x{annotated[1]} by its "
            "annotation; give the annotations of these images"
        )
    return across, down
