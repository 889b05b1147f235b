"""Image sets so small that a network learns them within seconds: the class is the colour channel that is bright."""

from __future__ import annotations

import torch

from src.data.datamodule import ImageData
from src.data.image_set import ImageSet, Splits

CLASSES = ("red", "green", "blue")
SIZE = 12


def bright_channel(per_class: int, seed: int) -> ImageSet:
    """Noise (N, 3, 12, 12), a little brighter in the channel of the class."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(3 * per_class) % 3
    images = torch.randint(0, 160, (len(labels), 3, SIZE, SIZE), generator=generator)
    images[torch.arange(len(labels)), labels] += 30
    return ImageSet(images.to(torch.uint8), labels, CLASSES)


class TinyData(ImageData):
    """The real data module over such images: 3 batches of training, one of validation."""

    def __init__(self, per_class: int = 15, batch_size: int = 12, shuffle_seed: int = 0, flip: bool = True) -> None:
        super().__init__(
            {"name": "tiny"},
            batch_size=batch_size,
            shuffle_seed=shuffle_seed,
            augment={"crop_padding": 1, "flip": flip},
            splits={"validation": 0.2},
        )
        self.per_class = per_class

    def _load(self) -> Splits:
        return Splits(bright_channel(self.per_class, 0), bright_channel(4, 1))
