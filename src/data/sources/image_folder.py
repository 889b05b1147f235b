"""A user's own images: one folder per class."""

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import field, replace
from pathlib import Path, PurePosixPath

import torch

from src.core.errors import UserError
from src.core.options import options
from src.data.image_set import ImageSet, Splits
from src.data.listing import entries, events_of, files_below, in_order, parts_of
from src.data.mixing import class_numbers
from src.data.picture import ENDINGS, LOOKED_AT, dimensions, usual_side
from src.data.sources.options import Guessed, Root, TestFraction
from src.data.sources.pictures import Pictures, first_of


@options
class Folder(Pictures):
    """Images in folders called like their classes.

    Attributes:
        root: holds the folders themselves, or those of parts (`src.data.listing.PARTS`).
        size: auto: guessed from the images, and told.
        test_fraction: of a split where there is no test set; 1: all are test images, and none can be trained on.
    """

    root: Root = field(kw_only=True)
    size: Guessed = None  # type: ignore[assignment]  # a number before anything is decoded
    test_fraction: TestFraction = 0.2


def image_folder(options: Folder) -> Splits:
    """Read ``root/train/CLASS/*.png`` and ``root/test/CLASS/*.png``, or ``root/CLASS/*.png`` with a seeded split.

    The validation part is the test set where there is no other; beside one it is not used, which is told. Of a training
    part alone a test set is split off; of a test part alone nothing can be trained.

    Raises:
        UserError: no such folder, no images in it, an unreadable image, classes that differ between the two, or boxes
            that are not of these images.
    """
    place = Path(options.root).expanduser()
    if not place.is_dir():
        raise UserError(f"data.source.root={options.root}: no such folder")
    parts, flat = parts_of(place)
    if options.size == "auto":
        files = sorted(files_below(parts.get("train", place)))
        files = files[:: max(1, len(files) // LOOKED_AT)]
        sizes = options.read(lambda row: (files[row], str(files[row])), range(len(files)), dimensions, [])
        side, why = usual_side([size for _, size in sizes])
        splits = image_folder(replace(options, size=side))
        said = f"data.source.size=auto: {side} pixels; {why} ({place})"
        return Splits(*(replace(part, events=(said, *part.events)) for part in splits))
    pool, shown = parts.get("train"), parts.get("test", parts.get("validation"))
    if pool is None and shown is None:
        return options.held_out(read_classes(place, options, options.both_per_class), options.test_fraction)
    events = [f"data.source: {part.name}/ is the {role} part" for role, part in parts.items()
              if part.name != role != "validation"]  # fmt: skip
    for folder in flat:
        count = sum(1 for _ in files_below(folder))
        events.append(f"data.source: the {count:,} images of {folder} lie in no folder of a class and are not used")
    if pool is None:
        assert shown is not None
        test = read_classes(shown, options, options.test_per_class, events)
        return Splits(test.select(torch.arange(0)), test)
    if shown is None:
        events.append(f"data.source.test_fraction={options.test_fraction:g}: there is no test part; images of "
                      f"{pool.name}/ are held out for it")  # fmt: skip
        return options.held_out(read_classes(pool, options, options.both_per_class, events), options.test_fraction)
    if "test" not in parts:
        events.append(f"data.source: {shown.name}/ is the test set, there being no other")
    elif "validation" in parts:
        unused = sum(1 for _ in files_below(parts["validation"]))
        events.append(f"data.source: the {unused:,} images of {parts['validation'].name}/ are not used; validation "
                      f"images are held out of {pool.name}/ (data.splits.validation)")  # fmt: skip
    train = read_classes(pool, options, options.train_per_class, events)
    test = read_classes(shown, options, options.test_per_class, classes=train.classes)
    unknown = sorted(set(test.classes) - set(train.classes))
    if unknown:
        raise UserError(f"{shown}: class '{unknown[0]}' is not among those of {pool}")
    if train.shape != test.shape:
        raise UserError(f"{place}: train and test images differ in size; set data.source.size=64 (pixels)")
    numbers = torch.tensor([train.classes.index(name) for name in test.classes])
    return Splits(train, replace(test, labels=numbers[test.labels], classes=train.classes))


def read_classes(
    folder: Path,
    options: Pictures,
    per_class: int | None = None,
    events: list[str] | None = None,
    classes: Sequence[str] = (),
) -> ImageSet:
    """The images in the folders of one folder, at most the first ``per_class`` of each; classes ordered by name.

    Args:
        events: what is known already, which the set carries too.
        classes: of the data set, where they are known; of these `options.only` names those that are decoded.

    Raises:
        UserError: there is none, or one cannot be read.
    """
    passed_over: Counter[str] = Counter()
    files: dict[str, list[Path]] = {}
    for entry in entries(folder, passed_over):
        if not entry.is_dir():
            image = os.path.splitext(entry.name)[1].lower() in ENDINGS
            passed_over["images in no folder of a class" if image else "other files in no folder of a class"] += 1
        elif listed := sorted(files_below(Path(entry.path), passed_over=passed_over)):
            files[entry.name] = listed
        else:
            passed_over["folders without images"] += 1
    if not files:
        raise UserError(f"{folder}: holds no folders with images, one per class ({', '.join(sorted(ENDINGS))})")
    names = in_order(list(files))
    every = list(classes or names)
    only = names if options.only is None else [every[number] for number in class_numbers(options.only, every)]
    chosen = [files[name][:per_class] if name in only else [] for name in names]
    listed = [file for each in chosen for file in each]
    labels = torch.arange(len(names)).repeat_interleave(torch.tensor([len(each) for each in chosen]))
    places = [PurePosixPath(file.relative_to(folder).as_posix()) for file in listed]
    said = (
        *(events or []),
        *events_of(passed_over, folder),
        *first_of(len(listed), sum(len(files[name]) for name in only if name in files), str(folder)),
    )
    return options.image_set(
        lambda position: (listed[position], str(listed[position])), places, labels, tuple(names), str(folder), said
    )
