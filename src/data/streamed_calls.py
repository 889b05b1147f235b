"""The images of a `StreamingImages` for learners that are called with several batches: here each call is one."""

from __future__ import annotations

from collections.abc import Iterator

import pytorch_lightning as pl

from src.data.epoch_loader import Call, Share, cut, share
from src.data.loader import BatchLoader
from src.data.streaming import StreamingImages


class StreamedCalls(pl.LightningDataModule):
    """Hands a learner calls of normalised images.

    Args:
        data: what to train on; its batch sizes, augmentation, normalisation and shuffle seed hold.
        ghost_batch: images of a batch that stay in one process where several train one network. Every process decodes
            the whole batch and keeps its part.
    """

    def __init__(self, data: StreamingImages, ghost_batch: int | None = None) -> None:
        super().__init__()
        self.data = data
        self.ghost_batch = ghost_batch

    def setup(self, stage: str | None = None) -> None:
        self.data.setup()

    def train_dataloader(self) -> Calls:
        """Shuffled and augmented images."""
        batches = self.data.stream(lambda: 0 if self.trainer is None else self.trainer.current_epoch)
        return Calls(batches, self.ghost_batch or 1, self._process)

    def val_dataloader(self) -> Calls:
        """The validation part, in order."""
        return Calls(self.data.val_dataloader(), 1, self._process)

    def on_after_batch_transfer(self, batch: Call, dataloader_idx: int) -> Call:
        """uint8 -> float32 as the model sees it."""
        return batch._replace(images=self.data.normalise(batch.images))

    @property
    def _process(self) -> tuple[int, int]:
        return (0, 1) if self.trainer is None else (self.trainer.global_rank, self.trainer.world_size)


class Calls:
    """Batches as calls, of each batch the part of one process."""

    def __init__(self, batches: BatchLoader, unit: int = 1, process: tuple[int, int] = (0, 1)) -> None:
        self.batches, self.unit, self.process = batches, unit, process
        self.sizes = cut(len(batches.images), batches.batch_size)
        self.whole_batches = batches.whole_batches

    def __len__(self) -> int:
        return len(self.batches)

    def __iter__(self) -> Iterator[Call]:
        for images, labels, _ in self.batches:
            ours: Share = share(len(labels), self.unit, *self.process)
            rows = slice(ours.first, ours.first + ours.ours)
            yield Call(images[rows], labels[rows], [ours])
