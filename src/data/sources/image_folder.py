"""A user's own images: one folder per class."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath

import torch

from src.core.errors import UserError
from src.core.options import options
from src.data.boxes import Annotations, Boxed, BoxMapping, Objects, boxes_of, check_boxes, with_masks
from src.data.image_set import ImageSet, Splits
from src.data.sources.fitting import decode, dimensions, stacked
from src.data.sources.options import Channels, Crop, Interpolation, Only, Place, Root, Side, TestFraction
from src.data.splits import hold_out

_ENDINGS = {".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".ppm", ".pgm"}


@options
class Folder:
    """Images in folders called like their classes.

    Attributes:
        root: holds the folders themselves, or those of a folder ``train``, and of ``test``, ``val`` or ``validation``.
        test_fraction, seed: of a split where there is no test set; 1: all are test images, and none can be trained on.
        boxes: a folder of Pascal-VOC XML files or a table (`src.data.boxes`); what they hold becomes the masks.
    """

    root: Root
    size: Side = None
    channels: Channels = 3
    test_fraction: TestFraction = 0.2
    seed: int = 0
    only: Only = None
    boxes: Place = None
    box_objects: Objects = "union"
    box_mapping: BoxMapping = "correct"
    crop: Crop = None
    interpolation: Interpolation = None

    def __post_init__(self) -> None:
        check_boxes(self.box_mapping, self.size)


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
        images = _read(place, options)
        if options.test_fraction == 1:
            return Splits(images.select(torch.arange(0)), images)
        return hold_out(images, options.test_fraction, options.seed)
    train, test = (_read(part, options) for part in (place / "train", tests[0]))
    unknown = sorted(set(test.classes) - set(train.classes))
    if unknown:
        raise UserError(f"{tests[0]}: class '{unknown[0]}' is not among those of {place / 'train'}")
    if train.shape != test.shape:
        raise UserError(f"{place}: train and test images differ in size; set data.source.size, e.g. size=64")
    numbers = torch.tensor([train.classes.index(name) for name in test.classes])
    return Splits(train, replace(test, labels=numbers[test.labels], classes=train.classes))


def _read(folder: Path, options: Folder) -> ImageSet:
    fitted = options.size, options.channels, options.crop, options.interpolation
    if options.boxes is None:
        return read_classes(folder, *fitted)
    annotations = Annotations(Path(options.boxes).expanduser())

    def boxes(files: Sequence[Path]) -> Boxed:
        names = [PurePosixPath(file.relative_to(folder).as_posix()) for file in files]
        return boxes_of(annotations, names, lambda number: dimensions(files[number], str(files[number])), options.size,
                        options.box_objects, options.box_mapping, options.crop)  # fmt: skip

    return read_classes(folder, *fitted, boxes=boxes)


def read_classes(
    folder: Path,
    size: int | None,
    channels: int,
    crop: float | None = None,
    interpolation: str | None = None,
    *,
    boxes: Callable[[Sequence[Path]], Boxed] | None = None,
) -> ImageSet:
    """All images in the folders of one folder, as `decode` makes them; classes in the order of their names.

    Args:
        boxes: of the files; images without one are left out.
    """
    places = sorted(path for path in folder.glob("*") if path.is_dir() and path.name[0] != ".")
    files = {path.name: listed for path in places if (listed := _images_in(path))}
    if not files:
        raise UserError(f"{folder}: holds no folders with images, one per class ({', '.join(sorted(_ENDINGS))})")
    listed = [file for each in files.values() for file in each]
    counts = torch.tensor([len(each) for each in files.values()])
    labels = torch.arange(len(files)).repeat_interleave(counts)
    boxed = None if boxes is None else boxes(listed)
    if boxed is not None:
        listed, labels = [listed[number] for number in boxed.images.tolist()], labels[boxed.images]
    images = stacked((decode(file, str(file), size, channels, crop, interpolation) for file in listed), str(folder))
    return with_masks(ImageSet(images, labels, tuple(files)), boxed)


def _images_in(folder: Path) -> list[Path]:
    shown = (path for path in folder.rglob("*") if not any(part[0] == "." for part in path.relative_to(folder).parts))
    return sorted(path for path in shown if path.suffix.lower() in _ENDINGS)
