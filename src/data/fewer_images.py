"""The same data set with fewer images in some of its parts; classes, labels and normalisation stay."""

from __future__ import annotations

import copy
from collections.abc import Collection, Mapping

import torch
from torch import Tensor

from src.core.errors import UserError
from src.core.seeds import stream
from src.data.datamodule import ImageData
from src.data.ranks import rank_within_class


def of_classes(data: ImageData, labels: Collection[int]) -> ImageData:
    """Only the images of some classes, in all parts but the test images.

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
    """A copy of ``data``, which is set up, with the images at int64 positions ``rows`` of the parts that it names."""
    made = copy.copy(data)
    made.trainer = None
    made.sets = {name: part.select(rows[name]) if name in rows else part for name, part in data.sets.items()}
    made.split_indices = {
        name: index[rows[name]] if name in rows else index for name, index in data.split_indices.items()
    }
    made.mislabelled = data.mislabelled[rows["train"]] if "train" in rows else data.mislabelled
    made.whitener = None if data.whitener is None else data.whitener.for_subset(made.sets)
    made.events = list(data.events)
    return made
