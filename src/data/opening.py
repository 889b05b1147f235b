"""Which data module a configuration of the data group asks for: images in memory, or in files where they are many."""

from collections.abc import Mapping
from typing import Any

from src.data.datamodule import ImageData

STREAMED = ("imagenet",)
"""Sources whose images stay in files."""


def data_module(options: Mapping[str, Any]) -> type[ImageData]:
    """The class whose arguments the configuration is."""
    if dict(options.get("source") or {}).get("name") not in STREAMED:
        return ImageData
    from src.data.streaming import StreamingImages

    return StreamingImages
