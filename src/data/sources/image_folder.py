"""A user's own images: one folder per class."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch

from src.core.errors import UserError
from src.data.image_set import ImageSet, Splits
from src.data.sources.fitting import check, decode, stacked
from src.data.sources.held_out import hold_out

_ENDINGS = {".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".ppm", ".pgm"}
_TEST = ("test", "val", "validation")


def image_folder(
    *, root: str, size: int | None = None, channels: int = 3, test_fraction: float = 0.2, seed: int = 0
) -> Splits:
    """Read ``root/train/CLASS/*.png`` and ``root/test/CLASS/*.png``, or ``root/CLASS/*.png`` with a seeded split.

    Args:
        root: the folder; ``val`` or ``validation`` stands for ``test`` where there is none.
        size: side in pixels: shorter side resized, middle cut out (None: all images have one size already).
        channels: 3, or 1 for grey.
        test_fraction: of each class, where the folder has no own test set.
        seed: of that split.

    Raises:
        UserError: no such folder, no images in it, an unreadable image, or classes that differ between the two.
    """
    check(size, channels)
    place = Path(root).expanduser()
    if not place.is_dir():
        raise UserError(f"data.source.root={root}: no such folder")
    tests = [place / name for name in _TEST if (place / name).is_dir()]
    if not (place / "train").is_dir() or not tests:
        return hold_out(read_classes(place, size, channels), test_fraction, seed)
    train, test = read_classes(place / "train", size, channels), read_classes(tests[0], size, channels)
    unknown = sorted(set(test.classes) - set(train.classes))
    if unknown:
        raise UserError(f"{tests[0]}: class '{unknown[0]}' is not among those of {place / 'train'}")
    if train.shape != test.shape:
        raise UserError(f"{place}: train and test images differ in size; set data.source.size, e.g. size=64")
    numbers = torch.tensor([train.classes.index(name) for name in test.classes])
    return Splits(train, replace(test, labels=numbers[test.labels], classes=train.classes))


def read_classes(folder: Path, size: int | None, channels: int) -> ImageSet:
    """All images in the folders of one folder; classes in the order of their names."""
    places = (
        sorted(path for path in folder.iterdir() if path.is_dir() and path.name[0] != ".") if folder.is_dir() else []
    )
    found = {path.name: _images_in(path) for path in places}
    found = {name: files for name, files in found.items() if files}
    if not found:
        raise UserError(f"{folder}: holds no folders with images, one per class ({', '.join(sorted(_ENDINGS))})")
    images = stacked(
        (decode(file, str(file), size, channels) for files in found.values() for file in files), str(folder)
    )
    counts = torch.tensor([len(files) for files in found.values()])
    return ImageSet(images, torch.arange(len(found)).repeat_interleave(counts), tuple(found))


def _images_in(folder: Path) -> list[Path]:
    shown = (path for path in folder.rglob("*") if not any(part[0] == "." for part in path.relative_to(folder).parts))
    return sorted(path for path in shown if path.suffix.lower() in _ENDINGS)
