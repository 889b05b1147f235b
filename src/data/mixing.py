"""Sets made of sets: subsets of classes, caps per class, label noise, and the mixed sets for patching.

A patching set holds the classes of a weak model: some others, and last the target class or classes that a strong model
knows better (CNNSplitter, ASE'22). The published mixtures, as `patching_set` makes them:

- CIFAR: others = CIFAR-100 classes 0 2 5 8 9 12 15 22 70 with 500 train and 100 test images each,
  target = one class of CIFAR-10 with 500 drawn train images and its first 100 test images.
- SVHN: others = digits 6 7 8 9, target = one of the digits 0..4, all images.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from src.core.errors import UserError, suggestion
from src.core.seeds import stream
from src.data.image_set import ImageSet, Splits, concatenate
from src.data.ranks import rank_within_class

Most = int | float | None
"""Images of a class: a number, or a share below 1 of those that there are; None: all."""
Limit = Most | Mapping[int | str, Most]
"""Most images per class: for all the same, or a mapping from class (name or number, or ``default``)."""


def class_numbers(wanted: Sequence[int | str], classes: Sequence[str]) -> list[int]:
    """Numbers of classes given by number or by name; classes that are called by numbers are only given by name.

    Raises:
        UserError: unknown, repeated, or none at all.
    """
    numbers, place = [], {name: number for number, name in enumerate(classes)}
    numeric = all(re.fullmatch(r"\d+", name) for name in classes)
    for item in wanted:
        if str(item) in place and (numeric or isinstance(item, str)):
            numbers.append(place[str(item)])
        elif numeric:
            raise UserError(f"class {item} is not in the data; {suggestion(str(item), classes)}")
        elif isinstance(item, str):
            raise UserError(f"class '{item}' is not in the data; {suggestion(item, classes)}")
        elif 0 <= int(item) < len(classes):
            numbers.append(int(item))
        else:
            raise UserError(f"class {item} is not in the data: it has classes 0..{len(classes) - 1}")
    if not numbers or len(set(numbers)) != len(numbers):
        raise UserError(f"classes={list(wanted)}: name at least one class, and each only once")
    return numbers


def subset(splits: Splits, classes: Sequence[int | str]) -> Splits:
    """Only these classes (numbers or names), renumbered 0, 1, ... in this order."""
    numbers = class_numbers(classes, splits.train.classes)
    return Splits(_subset(splits.train, numbers), _subset(splits.test, numbers))


def _subset(images: ImageSet, numbers: Sequence[int]) -> ImageSet:
    renumbered = torch.full((len(images.classes),), -1)
    renumbered[torch.tensor(numbers)] = torch.arange(len(numbers))
    labels = renumbered[images.labels]
    kept = (labels >= 0).nonzero().squeeze(1)
    superclasses = images.superclasses
    chosen = images.select(kept)
    return replace(
        chosen,
        labels=labels[kept],
        classes=tuple(images.classes[number] for number in numbers),
        superclasses=None if superclasses is None else tuple(superclasses[number] for number in numbers),
    )


def cap(images: ImageSet, limit: Limit, seed: int | None = None) -> ImageSet:
    """At most so many images per class, in their old order.

    A seed draws them at random, and a larger limit then holds the images of a smaller one; None takes the first.
    """
    limits = _limits(limit, images.classes, images.per_class)
    ranks = rank_within_class(images.labels, None if seed is None else stream(seed, "cap"))
    kept = ranks < limits[images.labels]
    return images if bool(kept.all()) else images.select(kept.nonzero().squeeze(1))


def _limits(limit: Limit, classes: Sequence[str], counts: Tensor) -> Tensor:
    given = dict(limit) if isinstance(limit, Mapping) else {"default": limit}
    default = given.pop("default", None)
    most = [default] * len(classes)
    for item, number in given.items():
        most[class_numbers([item], classes)[0]] = number
    for number in most:
        if number is not None and not (0 < number < 1 or (number >= 1 and number == int(number))):
            raise UserError(
                f"data.caps={limit}: every class keeps at least 1 image; give a whole number or a share below 1"
            )
    return torch.tensor(
        [
            count if number is None else max(1, round(number * count)) if number < 1 else int(number)
            for number, count in zip(most, counts.tolist(), strict=True)
        ],
        dtype=torch.int64,
    )


def mix(others: Splits, target: Splits) -> Splits:
    """All classes of `others`, then all classes of `target`, which may come from different sources.

    Raises:
        UserError: the image shapes differ.
    """
    return Splits(_mix(others.train, target.train), _mix(others.test, target.test))


def _mix(first: ImageSet, second: ImageSet) -> ImageSet:
    if first.shape != second.shape:
        raise UserError(
            f"data.mix: images are {first.shape} and {second.shape}; give both sources the same size, channels"
        )
    classes = first.classes + second.classes
    both = first.superclasses is not None and second.superclasses is not None
    superclasses = (first.superclasses or ()) + (second.superclasses or ()) if both else None
    return concatenate(
        [
            replace(first, classes=classes, superclasses=superclasses),
            replace(second, labels=second.labels + len(first.classes), classes=classes, superclasses=superclasses),
        ]
    )


def patching_set(
    splits: Splits,
    *,
    others: Sequence[int | str],
    target: int | str | Sequence[int | str],
    target_splits: Splits | None = None,
    train_others: Limit = None,
    train_target: Limit = None,
    test_others: Limit = None,
    test_target: Limit = None,
    seed: int = 0,
) -> Splits:
    """The set of a weak model: some classes of one source, and last the target class(es) of the same or another.

    Args:
        splits: source of the other classes.
        target_splits: source of the target (None: the same).
        train_others, train_target: most training images of each class, drawn by `seed`.
        test_others, test_target: most test images of each class; the first ones, whatever the seed.

    Raises:
        UserError: a class is unknown, or the images' shapes differ.
    """
    targets = [target] if isinstance(target, int | str) else target
    first, second = subset(splits, others), subset(target_splits or splits, targets)
    return mix(
        Splits(cap(first.train, train_others, seed), cap(first.test, test_others)),
        Splits(cap(second.train, train_target, seed), cap(second.test, test_target)),
    )


def add_label_noise(
    labels: Tensor, fraction: float, count: int, classes: Sequence[int] | None = None, seed: int = 0
) -> tuple[Tensor, Tensor]:
    """Give a fraction of each class's images a wrong label, each other class being equally likely.

    Args:
        labels: int64 (N,) of training images; never those of a set that judges.
        fraction: of each class, rounded to whole images; a larger one changes the images of a smaller one too.
        count: number of classes.
        classes: whose labels are touched (None: all).

    Returns:
        New labels (N,), and bool (N,) where they are wrong.

    Raises:
        UserError: the fraction is outside 0..1, or there is only one class.
    """
    if not 0 <= fraction <= 1:
        raise UserError(f"data.label_noise.fraction={fraction}: allowed are 0..1")
    if fraction and count < 2:
        raise UserError("data.label_noise: one class has no wrong label")
    affected = torch.zeros(count, dtype=torch.bool)
    affected[torch.arange(count) if classes is None else torch.tensor(list(classes))] = True
    sizes = torch.bincount(labels, minlength=count)
    generator = stream(seed, "label noise")
    changed = rank_within_class(labels, generator) < (sizes * fraction).round().long()[labels]
    changed &= affected[labels]
    shift = torch.randint(1, max(count, 2), labels.shape, generator=generator)
    return torch.where(changed, (labels + shift) % count, labels), changed
