"""A user's own images: one folder per class."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch

from src.core.errors import UserError
from src.core.options import options
from src.data.image_set import ImageSet, Splits
from src.data.sources.fitting import decode, stacked
from src.data.sources.options import Channels, Crop, Fraction, Interpolation, Only, Root, Side
from src.data.splits import hold_out

_ENDINGS = {".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".ppm", ".pgm"}


@options
class Folder:
    """Images in folders called like their classes.

    Attributes:
        root: holds the folders themselves, or those of a folder ``train``, and of ``test``, ``val`` or ``validation``.
        test_fraction, seed: of a split where there is no test set.
    """

    root: Root
    size: Side = None
    channels: Channels = 3
    test_fraction: Fraction = 0.2
    seed: int = 0
    only: Only = None
    crop: Crop = None
    interpolation: Interpolation = None


def image_folder(options: Folder) -> Splits:
    """Read ``root/train/CLASS/*.png`` and ``root/test/CLASS/*.png``, or ``root/CLASS/*.png`` with a seeded split.

    Raises:
        UserError: no such folder, no images in it, an unreadable image, or classes that differ between the two.
    """
    place = Path(options.root).expanduser()
    if not place.is_dir():
        raise UserError(f"data.source.root={options.root}: no such folder")
    fitted = options.size, options.channels, options.crop, options.interpolation
    tests = [place / name for name in ("test", "val", "validation") if (place / name).is_dir()]
    if not (place / "train").is_dir() or not tests:
        return hold_out(read_classes(place, *fitted), options.test_fraction, options.seed)
    train, test = (read_classes(part, *fitted) for part in (place / "train", tests[0]))
    unknown = sorted(set(test.classes) - set(train.classes))
    if unknown:
        raise UserError(f"{tests[0]}: class '{unknown[0]}' is not among those of {place / 'train'}")
    if train.shape != test.shape:
        raise UserError(f"{place}: train and test images differ in size; set data.source.size, e.g. size=64")
    numbers = torch.tensor([train.classes.index(name) for name in test.classes])
    return Splits(train, replace(test, labels=numbers[test.labels], classes=train.classes))


def read_classes(
    folder: Path, size: int | None, channels: int, crop: float | None = None, interpolation: str | None = None
) -> ImageSet:
    """All images in the folders of one folder, as `decode` makes them; classes in the order of their names."""
    places = sorted(path for path in folder.glob("*") if path.is_dir() and path.name[0] != ".")
    files = {path.name: listed for path in places if (listed := _images_in(path))}
    if not files:
        raise UserError(f"{folder}: holds no folders with images, one per class ({', '.join(sorted(_ENDINGS))})")
    every = (file for each in files.values() for file in each)
    images = stacked((decode(file, str(file), size, channels, crop, interpolation) for file in every), str(folder))
    counts = torch.tensor([len(each) for each in files.values()])
    return ImageSet(images, torch.arange(len(files)).repeat_interleave(counts), tuple(files))


def _images_in(folder: Path) -> list[Path]:
    shown = (path for path in folder.rglob("*") if not any(part[0] == "." for part in path.relative_to(folder).parts))
    return sorted(path for path in shown if path.suffix.lower() in _ENDINGS)
