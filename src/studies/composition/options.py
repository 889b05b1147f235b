"""What task=compose is told; conf/task/compose.yaml has the values."""

from typing import Annotated

from src.artifacts.options import ComposedOptions, Data, Resamples
from src.core.options import Count, Words, options
from src.methods.robustness.severities import SMALL
from src.studies.robustness.options import Corruptions, Severities, check_shift


@options
class Shift:
    """Corrupted images.

    Attributes:
        files: a folder with published ones; its ``~`` is the user's home.
    """

    corruptions: Corruptions
    severities: Severities
    images: Count | None
    files: Annotated[str, Words("a folder")] | None
    batch: Count

    def __post_init__(self) -> None:
        check_shift(tuple(SMALL) if self.corruptions == "all" else self.corruptions, self.severities, "shift.")


@options
class Compose(ComposedOptions):
    unknown: Data
    shift: Shift
    learning_images: Count | None
    latency_images: Count
    single_images: Count
    resamples: Resamples
