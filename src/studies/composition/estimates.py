"""Accuracies of several predictions on the same images, compared in pairs."""

from collections.abc import Mapping

from torch import Tensor

from src.core.estimate import Estimate
from src.statistics.bootstrap import Resampled, bootstrap_weights, estimate, paired_difference


def accuracies(
    predictions: Mapping[str, Tensor], labels: Tensor, reference: str, *, resamples: int, seed: int
) -> tuple[dict[str, Estimate], dict[str, Estimate]]:
    """Accuracy of each method's predicted classes (n,), and its difference to the reference's, with intervals."""
    weights = bootstrap_weights(len(labels), resamples=resamples, seed=seed)
    runs = {}
    for name, predicted in predictions.items():
        hits = (predicted == labels).float()
        runs[name] = Resampled(hits.mean().item(), (weights @ hits).double() / len(labels))
    estimates = {name: estimate(run, n=len(labels), unit="images") for name, run in runs.items()}
    against = {
        name: estimate(paired_difference(run, runs[reference]), n=len(labels), unit="images")
        for name, run in runs.items()
    }
    return estimates, against
