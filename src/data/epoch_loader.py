"""Several batches at once from images that stay on the device: no transfers, and few draws of random numbers."""

from collections.abc import Callable, Iterator
from itertools import accumulate
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor

from src.core.seeds import stream
from src.data.augment import (
    FLIP_AXES,
    Draws,
    crop_and_flip,
    draw,
    draw_colours,
    draw_transformations,
    shift_colours,
    spare_of,
    transform,
)

PER_CALL = 16  # batches
CALL_BYTES = 64 * 2**20


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

    def batches(self) -> Iterator[tuple[Tensor, Tensor, Share]]:
        """Images, labels and share of each batch."""
        counts = [share.ours for share in self.shares]
        yield from zip(self.images.split(counts), self.labels.split(counts), self.shares, strict=True)


class EpochLoader:
    """Training batches, several at a time.

    The order and the augmentation of an epoch are a pure function of (seed, epoch), whatever the number of batches per
    call and of processes. It cannot go on within an epoch: trainings are resumed at the end of one.

    Args:
        images: uint8 (N, C, H, W), or float32 where they are whitened, on the device.
        labels: int64 (N,), there too.
        batch_size: images per batch; a last batch of one image joins the one before it.
        per_call: batches per call, fewer where their float images would take more than 64 MiB.
        augment: as of an `ImageData`.
        seed: of order and augmentation.
        epoch: tells the current epoch.
        draws: for what random numbers are drawn at once: for an ``epoch``, or for the images of each ``step``.
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
        augment: dict[str, Any],
        seed: int,
        epoch: Callable[[], int],
        per_call: int = PER_CALL,
        draws: Literal["epoch", "step"] = "epoch",
        unit: int = 1,
        process: tuple[int, int] = (0, 1),
        colours: Tensor | None = None,
    ) -> None:
        self.images, self.labels = images, labels
        self.sizes = cut(len(images), batch_size)
        self.whole_batches = len(images) // batch_size
        self.per_call = max(1, min(per_call, CALL_BYTES // (4 * images[0].numel() * batch_size)))
        self.augment = {"crop_padding": 0, "flip": False, "crop": None, "flip_axis": FLIP_AXES[0], **augment}
        self.colours, self.seed, self.draws = colours, seed, draws
        self._epoch = epoch
        self._shares = [share(size, unit, *process) for size in self.sizes]

    def __len__(self) -> int:
        """Calls per epoch."""
        return -(-len(self.sizes) // self.per_call)

    def __iter__(self) -> Iterator[Call]:
        epoch, count = self._epoch(), len(self.images)
        order = torch.randperm(count, generator=stream(self.seed, "order", epoch)).to(self.images.device)
        ends = [0, *accumulate(self.sizes)]
        of_epoch = self._on_device(self._drawn(count, epoch, 0)) if self.draws == "epoch" else {}
        for start in range(0, len(self.sizes), self.per_call):
            shares = self._shares[start : start + self.per_call]
            begin, end = ends[start], ends[start + len(shares)]
            drawn = {name: values[begin:end] for name, values in of_epoch.items()}
            if self.draws == "step":
                steps = [self._drawn(part.whole, epoch, step) for step, part in enumerate(shares, start)]
                drawn = self._on_device({name: torch.cat([step[name] for step in steps]) for name in steps[0]})
            index = order[begin:end]
            if any(part.ours < part.whole for part in shares):
                firsts = [ends[start + step] - begin + part.first for step, part in enumerate(shares)]
                rows = torch.cat([torch.arange(a, a + b.ours) for a, b in zip(firsts, shares, strict=True)])
                index, drawn = index[rows], {name: values[rows] for name, values in drawn.items()}
            yield Call(self._augmented(self.images[index], drawn), self.labels[index], shares)

    def _drawn(self, count: int, epoch: int, step: int) -> dict[str, Tensor]:
        """Random numbers for ``count`` images, a row each."""
        when, drawn = {"seed": self.seed, "epoch": epoch, "step": step}, {}
        crop_padding, flip, crop = (self.augment[key] for key in ("crop_padding", "flip", "crop"))
        if self.augment.get("transformation") is not None:
            drawn["parameters"] = draw_transformations(self.augment["transformation"], count, **when)
        if crop_padding or flip or crop:
            spare = spare_of(self.images, crop)
            drawn |= draw(count, crop_padding=crop_padding, flip=flip, spare=spare, **when)._asdict()
        if self.colours is not None:
            drawn["colours"] = draw_colours(count, len(self.colours), self.augment["rgb_pca"], **when)
        return drawn

    def _on_device(self, drawn: dict[str, Tensor]) -> dict[str, Tensor]:
        """Where the images are, but for parameters of transformations, which stay on the CPU."""
        return {name: rows if name == "parameters" else rows.to(self.images.device) for name, rows in drawn.items()}

    def _augmented(self, images: Tensor, drawn: dict[str, Tensor]) -> Tensor:
        options = self.augment
        if "parameters" in drawn:
            images = transform(images, options["transformation"], drawn["parameters"])
        if "flipped" in drawn:
            places = Draws(*(drawn[name] for name in Draws._fields))
            images = crop_and_flip(images, places, options["crop_padding"], options["crop"], options["flip_axis"])
        if self.colours is not None:
            images = shift_colours(images, drawn["colours"], self.colours)
        return images


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
    whole, rest = divmod(count, size)
    if not whole:
        return [count]
    if rest == 1:
        return [size] * (whole - 1) + [size + 1]
    return [size] * whole + [rest] * (rest > 0)


def share(size: int, unit: int, process: int, processes: int) -> Share:
    """The ``process``-th of ``processes`` consecutive parts of a batch that cut no group of ``unit`` images."""
    ends = [0, *accumulate(cut(size, unit))]
    groups = len(ends) - 1
    first, end = ends[groups * process // processes], ends[groups * (process + 1) // processes]
    return Share(size, first, end - first)
