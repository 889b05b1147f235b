"""What each task is told: these options, and no other key of a configuration, decide what its job finds.

Imports no torch: a sweep's parent reads it.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from annotated_types import MinLen

from src.artifacts.options import (
    ComposedOptions,
    Data,
    ExtractedOptions,
    PatchedOptions,
    Recipe,
    Resamples,
    TrainedOptions,
    TreeOptions,
    TreeOptionsOfModules,
    VariantOptions,
)
from src.core.options import Count, Whole, Words, options


@options
class Train(TrainedOptions):
    seed: Whole
    resamples: Resamples


@options
class TrainVariant(VariantOptions):
    seed: Whole
    resamples: Resamples


@options
class Modularize(ExtractedOptions):
    resamples: Resamples


@options
class Patch(PatchedOptions):
    random_draws: Count
    resamples: Resamples


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


@options
class TrainModule(ComposedOptions):
    module: Annotated[int | str, Words("a node of the tree by number or name")]
    resamples: Resamples


@options
class AddClass(TreeOptionsOfModules):
    monolith: Recipe
    match: Literal["parameters", "macs", "data"]
    change: Literal["add", "remove", "replace"]
    class_name: Annotated[int | str, Words("a class by name")]
    update: dict[str, Any]
    replacement: dict[str, Any]
    resamples: Resamples


@options
class Transfer(TreeOptionsOfModules):
    data: Data
    other_tree: TreeOptions
    target: Data
    experts: Count | None
    images_per_class: Annotated[tuple[Count, ...], MinLen(1), Words("a list of whole numbers from 1, e.g. [4, 16, 64]")]
    few: dict[str, Any]
    resamples: Resamples


@options
class Augmented:
    epochs: Count


@options
class Retrain:
    layers: Literal["none", "each", "kind"]
    epochs: Count


@options
class Invariance(TrainedOptions):
    study: dict[str, Any]
    transformation: dict[str, Any]
    augmented: Augmented
    match_accuracy: bool
    retrain: Retrain
    seed: Whole
    resamples: Resamples


@options
class Store:
    seed: Whole
    prune: Literal["none", "unused", "all_leftovers"]


@options
class Measure:
    """What any subject and any study have in common; the subject's kind adds what its networks are made of."""

    subject: dict[str, Any]
    study: dict[str, Any]
    seed: Whole
    resamples: Resamples


@options
class Compare:
    """Of the page over many jobs."""

    folders: tuple[str, ...]
    seed: Whole
    resamples: Resamples
