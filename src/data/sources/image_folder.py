"""A user's own images: one folder per class."""

from dataclasses import field, replace
from pathlib import Path, PurePosixPath

import torch

from src.core.errors import UserError
from src.core.options import options
from src.data.boxes import with_masks
from src.data.image_set import ImageSet, Splits
from src.data.sources.fitting import stacked
from src.data.sources.options import Root, TestFraction
from src.data.sources.pictures import Pictures
from src.data.splits import hold_out

_ENDINGS = {".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".ppm", ".pgm"}


@options
class Folder(Pictures):
    """Images in folders called like their classes.

    Attributes:
        root: holds the folders themselves, or those of a folder ``train``, and of ``test``, ``val`` or ``validation``.
        test_fraction: of a split where there is no test set; 1: all are test images, and none can be trained on.
    """

    root: Root = field(kw_only=True)
    test_fraction: TestFraction = 0.2


def image_folder(options: Folder) -> Splits:
    """Read ``root/train/CLASS/*.png`` and ``root/test/CLASS/*.png``, or ``root/CLASS/*.png`` with a seeded split.

    Raises:
        UserError: no such folder, no images in it, an unreadable image, classes that differ between the two, or boxes
            that are not of these images.
    """
    place = Path(options.root).expanduser()
    if not place.is_dir():
        raise UserError(f"data.source.root={options.root}: no such folder")
    tests = [place / name for name in ("test", "val", "validation") if (place / name).is_dir()]
    if not (place / "train").is_dir() or not tests:
        images = read_classes(place, options)
        if options.test_fraction == 1:
            return Splits(images.select(torch.arange(0)), images)
        return hold_out(images, options.test_fraction, options.seed)
    train, test = (read_classes(part, options) for part in (place / "train", tests[0]))
    unknown = sorted(set(test.classes) - set(train.classes))
    if unknown:
        raise UserError(f"{tests[0]}: class '{unknown[0]}' is not among those of {place / 'train'}")
    if train.shape != test.shape:
        raise UserError(f"{place}: train and test images differ in size; set data.source.size, e.g. size=64")
    numbers = torch.tensor([train.classes.index(name) for name in test.classes])
    return Splits(train, replace(test, labels=numbers[test.labels], classes=train.classes))


def read_classes(folder: Path, options: Pictures) -> ImageSet:
    """All images in the folders of one folder; classes in the order of their names. With boxes, images without are left
    out."""
    places = sorted(path for path in folder.glob("*") if path.is_dir() and path.name[0] != ".")
    files = {path.name: listed for path in places if (listed := _images_in(path))}
    if not files:
        raise UserError(f"{folder}: holds no folders with images, one per class ({', '.join(sorted(_ENDINGS))})")
    listed = [file for each in files.values() for file in each]
    counts = torch.tensor([len(each) for each in files.values()])
    labels = torch.arange(len(files)).repeat_interleave(counts)
    names = [PurePosixPath(file.relative_to(folder).as_posix()) for file in listed]
    boxed = options.boxed(names, lambda position: (listed[position], str(listed[position])))
    if boxed is not None:
        listed, labels = [listed[number] for number in boxed.images.tolist()], labels[boxed.images]
    images = stacked((options.decode(file, str(file)) for file in listed), str(folder))
    return with_masks(ImageSet(images, labels, tuple(files)), boxed)


def _images_in(folder: Path) -> list[Path]:
    shown = (path for path in folder.rglob("*") if not any(part[0] == "." for part in path.relative_to(folder).parts))
    return sorted(path for path in shown if path.suffix.lower() in _ENDINGS)
