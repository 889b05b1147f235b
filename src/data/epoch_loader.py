"""Several batches at once from images that stay on the device: no transfers, and one draw of everything per epoch."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import accumulate
from typing import Any, NamedTuple

import torch
from torch import Tensor

from src.core.seeds import stream
from src.data.augment import Draws, crop_and_flip, draw, draw_transformations, spare_of, transform
from src.data.colours import draw_colours, shift_colours


class Share(NamedTuple):
    """This process's part of one batch."""

    whole: int  # images of the batch in all processes
    first: int  # number of our first image within it
    ours: int  # how many are ours


class Call(NamedTuple):
    """The images of several batches, one after another, and how they are cut."""

    images: Tensor  # (n, C, H, W)
    labels: Tensor  # int64 (n,)
    shares: list[Share]  # ours of all add up to n


class EpochLoader:
    """Training batches, several at a time.

    The order and the augmentation of an epoch are a pure function of (seed, epoch), whatever the number of batches per
    call and of processes. It cannot go on within an epoch: trainings are resumed at the end of one.

    Args:
        images: uint8 (N, C, H, W), or float32 where they are whitened, on the device.
        labels: int64 (N,), there too.
        batch_size: images per batch; a last batch of one image joins the one before it.
        per_call: batches per call.
        augment: as of an `ImageData`.
        seed: of order and augmentation.
        epoch: tells the current epoch.
        unit: images that no two processes share between them (a ghost batch).
        process: our number, and how many there are.
        colours: the components along which rgb_pca shifts.
    """

    def __init__(
        self,
        images: Tensor,
        labels: Tensor,
        batch_size: int,
        *,
        per_call: int,
        augment: dict[str, Any],
        seed: int,
        epoch: Callable[[], int],
        unit: int = 1,
        process: tuple[int, int] = (0, 1),
        colours: Tensor | None = None,
    ) -> None:
        self.images, self.labels = images, labels
        self.sizes = cut(len(images), batch_size)
        self.whole_batches = len(images) // batch_size
        self.per_call = per_call
        self.augment, self.colours = augment, colours
        self.seed = seed
        self._epoch = epoch
        self._shares = [share(size, unit, *process) for size in self.sizes]

    def __len__(self) -> int:
        """Calls per epoch."""
        return -(-len(self.sizes) // self.per_call)

    def __iter__(self) -> Iterator[Call]:
        epoch, count, device = self._epoch(), len(self.images), self.images.device
        order = torch.randperm(count, generator=stream(self.seed, "order", epoch)).to(device)
        when = {"seed": self.seed, "epoch": epoch, "step": 0}  # the epoch is one step of draws
        how = {"crop_padding": 0, "flip": False, "crop": None, "flip_axis": "left_right", **self.augment}
        transformation = how.get("transformation")
        parameters = None if transformation is None else draw_transformations(transformation, count, **when)
        draws: Draws | None = None
        if how["crop_padding"] or how["flip"] or how["crop"]:
            spare = spare_of(self.images, how["crop"])
            drawn = draw(count, crop_padding=how["crop_padding"], flip=how["flip"], spare=spare, **when)
            draws = Draws(*(values.to(device) for values in drawn))
        shares_of_colour: Tensor | None = None
        if self.colours is not None:
            shares_of_colour = draw_colours(count, len(self.colours), how["rgb_pca"], **when)
            shares_of_colour = shares_of_colour.to(device)
        begins = [0, *accumulate(self.sizes)]
        for start in range(0, len(self.sizes), self.per_call):
            shares = self._shares[start : start + self.per_call]
            if all(part.ours == part.whole for part in shares):
                rows: Any = slice(begins[start], begins[start + len(shares)])
            else:
                firsts = [begin + part.first for begin, part in zip(begins[start:], shares, strict=False)]
                rows = torch.cat([torch.arange(a, a + b.ours) for a, b in zip(firsts, shares, strict=True)])
            index = order[rows]
            images = self.images[index]
            if transformation is not None and parameters is not None:
                images = transform(images, transformation, parameters[rows])
            if draws is not None:
                mine = Draws(*(values[rows] for values in draws))
                images = crop_and_flip(images, mine, how["crop_padding"], how["crop"], how["flip_axis"])
            if self.colours is not None and shares_of_colour is not None:
                images = shift_colours(images, shares_of_colour[rows], self.colours)
            yield Call(images, self.labels[index], shares)


class InOrder:
    """Evaluation batches in order, of each batch our share."""

    def __init__(self, images: Tensor, labels: Tensor, batch_size: int, process: tuple[int, int] = (0, 1)) -> None:
        self.images, self.labels = images, labels
        self.batch_size = batch_size
        self.process = process

    def __len__(self) -> int:
        return -(-len(self.images) // self.batch_size)

    def __iter__(self) -> Iterator[Call]:
        for images, labels in zip(self.images.split(self.batch_size), self.labels.split(self.batch_size), strict=True):
            part = share(len(images), 1, *self.process)
            rows = slice(part.first, part.first + part.ours)
            yield Call(images[rows], labels[rows], [part])


def cut(count: int, size: int) -> list[int]:
    """``count`` images in parts of ``size``; a rest of one joins the part before it, as batch norm cannot take it."""
    sizes = [len(part) for part in torch.empty(count).split(size)]
    if len(sizes) > 1 and sizes[-1] == 1:
        sizes[-2:] = [sizes[-2] + 1]
    return sizes


def share(size: int, unit: int, process: int, processes: int) -> Share:
    """The ``process``-th of ``processes`` consecutive parts of a batch that cut no group of ``unit`` images."""
    ends = [0, *accumulate(cut(size, unit) if unit > 1 else [1] * size)]
    groups = len(ends) - 1
    first, end = ends[groups * process // processes], ends[groups * (process + 1) // processes]
    return Share(size, first, end - first)
