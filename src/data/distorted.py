"""The public sets of distorted images with human decisions: which file shows what, under which condition.

Geirhos et al. (NeurIPS 2021, arXiv:2106.07411), 17 sets. Twelve parametric ones, sketches and stylised images have a
folder per session, with files ``<trial>_<set>_<observer>_<condition>_<category>_<number>_<image>.png``; edges and
silhouettes a folder per category, without conditions.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from torch import Tensor

from src.core.errors import UserError, suggestion
from src.data.listing import files_below
from src.data.sources.fitting import decode, stacked

NO_CONDITION = "0"
_NAME = re.compile(r"\d+_[^_]+_[^_]+_(?P<condition>[^_]+)_(?P<category>[^_]+)_.+\.(?:png|jpe?g)", re.IGNORECASE)
_IMAGE = re.compile(r".+\.(?:png|jpe?g)", re.IGNORECASE)
_IDENTITY = re.compile(r"(?:n\d{8}_)?[^_/]+$")


class Distorted(NamedTuple):
    """An image of a set: its file, and the session, condition and category that the file's place and name tell.

    Attributes:
        session: of a folder ``session-2``: 2.
    """

    file: Path
    session: str
    condition: str
    category: str


def condition_of(word: str) -> str:
    """A condition as one word for all spellings: 0.60 is 0.6, and none at all is 0."""
    text = word.strip()
    if text.lower() in ("", "nan", "na"):
        return NO_CONDITION
    try:
        return f"{float(text):g}"
    except ValueError:
        return text


def identity_of(name: str) -> str:
    """Which image a file shows, whatever trial, observer and condition its name begins with.

    The last part after ``_``, and of ImageNet's images the WordNet id before it: numbers alone are not unique.
    """
    match = _IDENTITY.search(name.rpartition(".")[0] or name)
    return match[0] if match else name


def listed_distorted(folder: Path, categories: Collection[str], key: str) -> list[Distorted]:
    """All images of a set, in the order of their sessions and names.

    Args:
        categories: that there are. key: of the folder, for messages.

    Raises:
        UserError: there is no such folder or no image in it, a file is named otherwise, or a category is unknown.
    """
    if not folder.is_dir():
        raise UserError(f"{key}={folder}: no such folder; give one of the public sets of distorted images")
    images = []
    for path in sorted(files_below(folder, None)):
        parent, match = path.parent.name, _NAME.fullmatch(path.name)
        if match is not None:
            session = parent.rpartition("-")[2]
            image = Distorted(path, session, condition_of(match["condition"]), match["category"])
        elif parent in categories and _IMAGE.fullmatch(path.name):
            image = Distorted(path, "1", NO_CONDITION, parent)
        else:
            raise UserError(
                f"{key}={folder}: '{path.name}' is not named <trial>_<set>_<observer>_<condition>_<category>_<image>"
                ".png, nor does it lie in the folder of a category; remove it or rename it"
            )
        if image.category not in categories:
            raise UserError(f"{key}={folder}: '{path.name}' is of category '{image.category}'; "
                            f"{suggestion(image.category, categories)}")  # fmt: skip
        images.append(image)
    if not images:
        raise UserError(f"{key}={folder}: holds no image; give one of the public sets of distorted images")
    return images


def decoded_distorted(images: Sequence[Distorted], size: int, channels: int, batch: int) -> Iterator[Tensor]:
    """uint8 (n, channels, size, size), ``batch`` images at a time: shorter side resized, middle cut out.

    Raises:
        UserError: an image cannot be read.
    """
    for start in range(0, len(images), batch):
        part = images[start : start + batch]
        decoded = (decode(each.file, str(each.file), size, channels) for each in part)
        yield stacked(decoded, len(part), str(part[0].file.parent))
