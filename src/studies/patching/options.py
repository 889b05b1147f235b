"""What task=modularize and task=patch are told; conf/task has the values."""

from src.artifacts.options import ExtractedOptions, PatchedOptions, Resamples
from src.core.options import Count, options


@options
class Modularize(ExtractedOptions):
    resamples: Resamples


@options
class Patch(PatchedOptions):
    random_draws: Count
    resamples: Resamples
