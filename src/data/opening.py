"""Which data module a configuration of data asks for: images in memory, or in files where they are many."""

from collections.abc import Mapping
from typing import Any

from src.core.configuration import keywords
from src.core.errors import placed
from src.data.datamodule import ImageData

STREAMED = ("imagenet",)
"""Sources whose images stay in files."""


def data_module(options: Mapping[str, Any]) -> type[ImageData]:
    """The class whose arguments the configuration is."""
    if dict(options.get("source") or {}).get("name") not in STREAMED:
        return ImageData
    from src.data.streaming import StreamingImages

    return StreamingImages


def data_of(options: Mapping[str, Any], where: str, **more: Any) -> ImageData:
    """The data module itself, not yet set up.

    Args:
        where: key of the configuration, for messages.
        more: arguments that the configuration does not have.

    Raises:
        UserError: a key is unknown or missing, or a value is not allowed.
    """
    kind = data_module(options)
    with placed("data", where):
        data = kind(**keywords(kind, options, where), **more)
    data.where = where
    return data
