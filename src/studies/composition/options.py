"""What task=compose is told; conf/task/compose.yaml has the values."""

from __future__ import annotations

from typing import Annotated, Literal

from src.artifacts.options import ComposedOptions, Data, Resamples
from src.core.options import Count, Words, options


@options
class Shift:
    """Corrupted images."""

    corruptions: Annotated[Literal["all"] | tuple[str, ...], Words("all, or a list of names")]
    severities: Annotated[tuple[int, ...], Words("a list of 1 to 5")]
    images: Count | None
    batch: Count


@options
class Compose(ComposedOptions):
    unknown: Data
    shift: Shift
    learning_images: Count | None
    latency_images: Count
    single_images: Count
    resamples: Resamples
