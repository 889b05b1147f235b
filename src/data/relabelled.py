"""The part of a data set that one module of a modular network learns from: some classes, with other labels."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from src.core.errors import UserError
from src.core.seeds import stream
from src.data.datamodule import ImageData
from src.data.image_set import ImageSet
from src.data.ranks import rank_within_class


def relabelled(
    data: ImageData,
    targets: Sequence[int],
    names: Sequence[str],
    *,
    cap: int | None = None,
    cap_seed: int = 0,
    where: str = "tree",
) -> ImageData:
    """The classes of ``data`` that have a target, with it as label, in all four parts.

    Normalisation is that of ``data``, so that all modules of a network see an image alike (but for a whitening of
    another scope than ``train``). Where no class is left out the images are shared, not copied.

    Args:
        data: its images and labels, after classes, caps and label noise; it is not changed.
        targets: for each of its classes the new label, or -1 to leave the class out.
        names: of the new labels.
        cap: most training images of all classes together, as many of each (one more of the first ones where they do
            not share out evenly, and more of the others where a class has too few); None: all.
        cap_seed: which images these are.
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
    rows = {part: _rows(images, new) for part, images in data.sets.items()}
    if cap is not None:
        rows["train"] = capped(data.sets["train"].labels, rows["train"], cap, cap_seed)
    made = copy.copy(data)
    made.trainer = None
    made.sets = {part: _relabelled(images, rows[part], new, tuple(names)) for part, images in data.sets.items()}
    made.split_indices = {part: index[rows[part]] for part, index in data.split_indices.items()}
    made.mislabelled = data.mislabelled[rows["train"]]
    made.whitener = None if data.whitener is None else data.whitener.for_subset(made.sets)
    made.events = list(data.events)
    for name, count in zip(names, made.sets["train"].per_class.tolist(), strict=True):
        if not count:
            few = "" if cap is None else f" among the {cap} that expert_cap leaves"
            raise UserError(f"{where}: node '{name}' has no image to train on{few}; give it some or leave it out")
    if len(data.sets["validation"]) and not len(made.sets["validation"]):
        raise UserError(
            f"{where}: the node of {', '.join(names[:3])} has no image to validate with; raise data.splits.validation"
        )
    return made


def capped(labels: Tensor, rows: Tensor, cap: int, seed: int) -> Tensor:
    """``cap`` of the ``rows`` (int64 positions in ``labels``), evenly from each class, drawn by ``seed``; in order."""
    if cap < 1:
        raise UserError(f"expert_cap={cap}: allowed are whole numbers from 1, smallest, or null for no cap")
    chosen = labels[rows]
    ranks = rank_within_class(chosen, stream(seed, "cap of a module"))
    first = (ranks * (int(labels.max()) + 1) + chosen).argsort()[:cap]  # rank by rank, class by class
    return rows[first.sort().values]


def _rows(images: ImageSet, targets: Tensor) -> Tensor:
    return (targets[images.labels] >= 0).nonzero()[:, 0]


def _relabelled(images: ImageSet, rows: Tensor, targets: Tensor, names: tuple[str, ...]) -> ImageSet:
    chosen = images if len(rows) == len(images) else images.select(rows)
    return replace(chosen, labels=targets[chosen.labels], classes=names, superclasses=None)
