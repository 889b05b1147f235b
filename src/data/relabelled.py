"""Parts of a data set: fewer of its images, or some of its classes with other labels; normalisation stays.

All modules of a network then see an image alike (but for a whitening of another scope than ``train``).
"""

import copy
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from src.core.errors import UserError
from src.core.seeds import stream
from src.data.datamodule import ImageData
from src.data.ranks import rank_within_class


def of_classes(data: ImageData, labels: Collection[int]) -> ImageData:
    """Only the images of some classes, in all parts but the test images; labels stay.

    Raises:
        UserError: there is none of them to validate with.
    """
    wanted = torch.tensor(sorted(labels))
    rows = {name: torch.isin(part.labels, wanted).nonzero()[:, 0] for name, part in data.sets.items() if name != "test"}
    if not len(rows["validation"]):
        first = data.classes[int(wanted[0])]
        raise UserError(f"data: no image of '{first}' and its like to validate with; raise data.splits.validation")
    return with_rows(data, rows)


def per_class(data: ImageData, count: int, seed: int) -> ImageData:
    """At most ``count`` training images of each class, drawn by ``seed``; a smaller count draws a part of them."""
    ranks = rank_within_class(data.sets["train"].labels, stream(seed, "few images"))
    return with_rows(data, {"train": (ranks < count).nonzero()[:, 0]})


def with_rows(data: ImageData, rows: Mapping[str, Tensor]) -> ImageData:
    """A copy of ``data``, which is set up, with the images at ascending int64 positions ``rows`` of some parts.

    Where no image is left out they are shared, not copied.
    """
    made = copy.copy(data)
    made.trainer = None
    made.sets = {
        name: part if name not in rows or len(rows[name]) == len(part) else part.select(rows[name])
        for name, part in data.sets.items()
    }
    made.split_indices = {
        name: index[rows[name]] if name in rows else index for name, index in data.split_indices.items()
    }
    made.mislabelled = data.mislabelled[rows["train"]] if "train" in rows else data.mislabelled
    made.whitener = None if data.whitener is None else data.whitener.for_subset(made.sets)
    made.events = list(data.events)
    return made


def relabelled(
    data: ImageData,
    targets: Sequence[int],
    names: Sequence[str],
    *,
    cap: int | None = None,
    where: str = "tree",
) -> ImageData:
    """The classes of ``data`` that have a target, with it as label, in all four parts.

    Args:
        data: its images and labels, after classes, caps and label noise; it is not changed.
        targets: for each of its classes the new label, or -1 to leave the class out.
        names: of the new labels.
        cap: most training images of all classes together, as many of each (one more of the first ones where they do
            not share out evenly, and more of the others where a class has too few); None: all.
        where: key of the tree that the new labels stand in, for messages.

    Returns:
        A data module that is set up, without superclasses.

    Raises:
        UserError: a new label has no image to train on, or there is none of them to validate with.
        ValueError: targets and classes or names do not agree.
    """
    new = torch.as_tensor(targets, dtype=torch.int64)
    if len(new) != len(data.classes):
        raise ValueError(f"targets: {len(new)} for {len(data.classes)} classes")
    if set(new[new >= 0].tolist()) != set(range(len(names))):
        raise ValueError(f"targets: do not reach each of the {len(names)} names")
    rows = {part: (new[images.labels] >= 0).nonzero()[:, 0] for part, images in data.sets.items()}
    if cap is not None:
        rows["train"] = capped(data.sets["train"].labels, rows["train"], cap)
    made = with_rows(data, rows)
    made.sets = {
        part: replace(images, labels=new[images.labels], classes=tuple(names), superclasses=None)
        for part, images in made.sets.items()
    }
    for name, count in zip(names, made.sets["train"].per_class.tolist(), strict=True):
        if not count:
            few = "" if cap is None else f" among the {cap} that expert_cap leaves"
            raise UserError(f"{where}: node '{name}' has no image to train on{few}; give it some or leave it out")
    if len(data.sets["validation"]) and not len(made.sets["validation"]):
        raise UserError(
            f"{where}: the node of {', '.join(names[:3])} has no image to validate with; raise data.splits.validation"
        )
    return made


def capped(labels: Tensor, rows: Tensor, cap: int) -> Tensor:
    """``cap`` of the ``rows`` (int64 positions in ``labels``), evenly from each class, drawn by lot; in order."""
    chosen = labels[rows]
    ranks = rank_within_class(chosen, stream(0, "cap of a module"))
    first = (ranks * (int(labels.max()) + 1) + chosen).argsort()[:cap]  # rank by rank, class by class
    return rows[first.sort().values]
