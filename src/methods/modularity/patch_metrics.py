"""What a patch does to the target class and to the others, compared over methods on the same images."""

from collections.abc import Collection, Mapping
from typing import NamedTuple

import torch
from torch import Tensor

from src.core.estimate import Estimate
from src.statistics.bootstrap import Resampled, bootstrap_weights, estimate, over_seeds, paired_difference

METRICS = ("precision", "recall", "f1", "other_accuracy")


class TargetMetrics(NamedTuple):
    """Of one target class, float64 () or (B,).

    ``precision`` is NaN where the target is never predicted, ``recall`` where no image is of the target. ``f1`` is
    2 TP / (2 TP + FP + FN): 0 where the target is never found, NaN only where it neither occurs nor is predicted.
    ``other_accuracy`` is the accuracy on the images of the classes that were not patched; to take one for the target
    counts as wrong.
    """

    precision: Tensor
    recall: Tensor
    f1: Tensor
    other_accuracy: Tensor


def target_metrics(
    predictions: Tensor, labels: Tensor, target: int, *, weights: Tensor | None = None, patched: Collection[int] = ()
) -> TargetMetrics:
    """Metrics of ``target`` from predicted classes.

    Args:
        predictions: (n,). labels: (n,).
        weights: (B, n) how often each image counts, e.g. in bootstrap resamples; None counts each once.
        patched: further patched classes, whose images are not among the others.
    """
    taken, is_target = predictions == target, labels == target
    other = ~is_target
    for index in patched:
        other &= labels != index
    counts = torch.stack([taken & is_target, taken, is_target, other & (predictions == labels), other], dim=1).double()
    if weights is None:
        hit, taken_count, target_count, correct, others = counts.sum(dim=0)
    else:
        # Whole numbers below 2^24: float32 is exact, and half the memory of the weights in float64.
        hit, taken_count, target_count, correct, others = (weights @ counts.to(weights)).double().unbind(dim=1)
    return TargetMetrics(
        hit / taken_count, hit / target_count, 2 * hit / (taken_count + target_count), correct / others
    )


class Comparison(NamedTuple):
    """``estimates[method][metric]``, and ``gains[method][metric]``: the method minus the reference, in pairs."""

    estimates: dict[str, dict[str, Estimate]]
    gains: dict[str, dict[str, Estimate]]


def compare(
    predictions: Mapping[str, Tensor],
    labels: Tensor,
    target: int,
    *,
    reference: str,
    resamples: int = 2000,
    seed: int = 0,
    patched: Collection[int] = (),
) -> Comparison:
    """All methods on the same images, with paired bootstrap intervals.

    Images are resampled within the target class and within the others, so that every resample has as many of each.

    Args:
        predictions: by method, classes (n,), or (S, n) of S seeds: then seeds are resampled too.
        labels: (n,).
        reference: the method whose values are subtracted in ``gains``.
    """
    truth = labels.cpu()
    is_target = truth == target
    weights = bootstrap_weights(len(truth), resamples=resamples, seed=seed, strata=is_target)

    def of_method(classes: Tensor) -> dict[str, Resampled]:
        runs = [
            [target_metrics(run, truth, target, weights=counts, patched=patched) for counts in (None, weights)]
            for run in classes.reshape(-1, len(truth)).cpu()
        ]
        over = {
            metric: [Resampled(getattr(value, metric).item(), getattr(samples, metric)) for value, samples in runs]
            for metric in METRICS
        }
        return {metric: of[0] if len(of) == 1 else over_seeds(of, seed=seed) for metric, of in over.items()}

    resampled = {method: of_method(classes) for method, classes in predictions.items()}
    of_target = int(is_target.sum())
    units = dict.fromkeys(METRICS[:3], (of_target, "target images"))
    units["other_accuracy"] = (len(truth) - of_target, "other images")

    def estimates(values: Mapping[str, Resampled]) -> dict[str, Estimate]:
        return {metric: estimate(value, n=units[metric][0], unit=units[metric][1]) for metric, value in values.items()}

    base = resampled[reference]
    return Comparison(
        {method: estimates(values) for method, values in resampled.items()},
        {
            method: estimates({metric: paired_difference(values[metric], base[metric]) for metric in METRICS})
            for method, values in resampled.items()
        },
    )
