"""The images of an `ImageData` on the device for a whole training, several batches per call."""

from __future__ import annotations

import pytorch_lightning as pl
import torch
from torch import Tensor

from src.data.datamodule import ImageData
from src.data.epoch_loader import Call, EpochLoader, InOrder

PER_CALL = 16  # batches
CALL_BYTES = 64 * 2**20


class ResidentImages(pl.LightningDataModule):
    """Hands a learner calls of normalised images.

    Args:
        data: what to train on; its batch sizes, augmentation, normalisation and shuffle seed hold.
        per_call: batches per call, fewer where their float images would take more than 64 MiB.
        ghost_batch: images of a batch that stay in one process where several train one network.
    """

    def __init__(self, data: ImageData, per_call: int = PER_CALL, ghost_batch: int | None = None) -> None:
        super().__init__()
        self.data = data
        self.per_call = per_call
        self.ghost_batch = ghost_batch

    def setup(self, stage: str | None = None) -> None:
        self.data.setup()

    def train_dataloader(self) -> EpochLoader:
        """Calls of shuffled and augmented images."""
        images, labels = self._on_device("train")
        batch_bytes = 4 * images[0].numel() * self.data.batch_size
        return EpochLoader(
            images,
            labels,
            self.data.batch_size,
            per_call=max(1, min(self.per_call, CALL_BYTES // batch_bytes)),
            augment=self.data.augment,
            colours=self.data.colours,
            seed=self.data.shuffle_seed,
            epoch=lambda: 0 if self.trainer is None else self.trainer.current_epoch,
            unit=self.ghost_batch or 1,
            process=self._process,
        )

    def val_dataloader(self) -> InOrder:
        """The validation part, in order."""
        return InOrder(*self._on_device("validation"), self.data.eval_batch_size, self._process)

    def transfer_batch_to_device(self, batch: Call, device: torch.device, dataloader_idx: int) -> Call:
        """It is there already."""
        return batch

    def on_after_batch_transfer(self, batch: Call, dataloader_idx: int) -> Call:
        """Raw or whitened -> float32 as the model sees it."""
        return batch._replace(images=self.data.normalise(batch.images))

    def _on_device(self, part: str) -> tuple[Tensor, Tensor]:
        self.setup()
        device = torch.device("cpu") if self.trainer is None else self.trainer.strategy.root_device
        return self.data.resident(part, device)

    @property
    def _process(self) -> tuple[int, int]:
        return (0, 1) if self.trainer is None else (self.trainer.global_rank, self.trainer.world_size)
