"""What task=invariance is told beside its study; conf/task/invariance.yaml has the values."""

from __future__ import annotations

from typing import Any, Literal

from src.artifacts.options import Resamples, TrainedOptions
from src.core.options import Count, Whole, options


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
