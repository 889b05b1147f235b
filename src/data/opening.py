"""Which data module a configuration of the data group asks for: images in memory, or in files where they are many."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytorch_lightning as pl

from src.data.datamodule import ImageData

STREAMED = ("imagenet",)
"""Sources whose images stay in files."""


def data_module(options: Mapping[str, Any]) -> type[ImageData]:
    """The class whose arguments the configuration is."""
    if dict(options.get("source") or {}).get("name") not in STREAMED:
        return ImageData
    from src.data.streaming import StreamingImages

    return StreamingImages


def in_calls(data: ImageData, ghost_batch: int | None = None) -> pl.LightningDataModule:
    """The images for learners that take several batches per call; of streamed ones it is one.

    Args:
        data: where the images are from.
        ghost_batch: images of a batch that stay in one process where several train one network.
    """
    from src.data.streaming import StreamingImages

    if isinstance(data, StreamingImages):
        from src.data.streamed_calls import StreamedCalls

        return StreamedCalls(data, ghost_batch)
    from src.data.resident import ResidentImages

    return ResidentImages(data, ghost_batch=ghost_batch)
