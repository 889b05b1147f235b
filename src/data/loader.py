"""Batches by indexing a tensor: no workers, no copies per image, and an order that is a pure function of the epoch."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor

from src.core.seeds import stream
from src.data.image_set import ImageSet
from src.data.whitener import WhitenedImages


class Batch(NamedTuple):
    """Raw images on their way to the device; `moment` is (epoch, step) in training, None in evaluation."""

    images: Tensor  # uint8 (n, C, H, W), or float32 where they are whitened
    labels: Tensor  # int64 (n,)
    moment: tuple[int, int] | None


class BatchLoader:
    """Iterates over an image set in batches.

    Training batches are shuffled by (seed, epoch) alone. A loader that was stopped within an epoch continues with the
    next batch (`state_dict`, which Lightning saves in its checkpoints).

    Args:
        images: the set, raw or whitened.
        batch_size: images per batch; a last batch of one image joins the one before it, as batch norm cannot take it.
        seed: of the order.
        epoch: tells the current epoch; None for evaluation: in order, and no moment.
    """

    def __init__(
        self, images: ImageSet | WhitenedImages, batch_size: int, seed: int = 0, epoch: Callable[[], int] | None = None
    ) -> None:
        self.images = images
        self.batch_size = batch_size
        self.seed = seed
        self._epoch = epoch
        self._done = 0
        self._first = 0

    def __len__(self) -> int:
        whole, rest = divmod(len(self.images), self.batch_size)
        return whole + (1 if rest > 1 or (rest == 1 and (whole == 0 or self._epoch is None)) else 0)

    @property
    def whole_batches(self) -> int:
        """Batches of full size."""
        return len(self.images) // self.batch_size

    def __iter__(self) -> Iterator[Batch]:
        first, self._first = self._first, 0
        count, batches = len(self.images), len(self)
        order = torch.arange(count)
        epoch = None if self._epoch is None else self._epoch()
        if epoch is not None:
            order = torch.randperm(count, generator=stream(self.seed, "order", epoch))
        for step in range(first, batches):
            self._done = step + 1
            last = count if step == batches - 1 else (step + 1) * self.batch_size
            index = order[step * self.batch_size : last]
            moment = None if epoch is None else (epoch, step)
            yield Batch(self.images.images[index], self.images.labels[index], moment)

    def state_dict(self) -> dict[str, Any]:
        """How many batches of the epoch were handed out."""
        return {"done": self._done}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Begin the next iteration after those batches; an epoch that was complete begins anew."""
        self._first = int(state["done"]) % max(len(self), 1)
