"""What task=compose is told; conf/task/compose.yaml has the values."""

from src.artifacts.options import ComposedOptions, Data, Resamples
from src.core.options import Count, options
from src.studies.robustness.options import Corruptions, Severities


@options
class Shift:
    """Corrupted images."""

    corruptions: Corruptions
    severities: Severities
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
