"""Intervals of a layer's and a network's mean NV, by resampling images.

All activations of all images are too many to keep, so that the resamples are of the units that `variances` kept: how
far their mean ratio moves about its mean over the resamples is added to the mean over all units. (Not how far from
the ratio at hand: images occur twice in a resample, whose spread over images is too small on average.) Few units vary
more than all of them do, so that intervals are rather too wide. Where the spreads of a map's positions are averaged
(``after=mean``), those kept are of single positions, which again vary more.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from src.methods.invariance.ratio import WeightedRatio, finite_mean, mean_of_finite
from src.methods.invariance.variance import LayerVariance
from src.statistics.bootstrap import Resampled


def resampled_layer(layer: LayerVariance, weights: Tensor, labels: Tensor | None = None) -> Resampled:
    """The layer's mean NV, or stratified NV, and that of every resample: float64 (B,) on the CPU.

    Args:
        layer: with activations kept.
        weights: float (B, S), of `src.statistics.bootstrap.bootstrap_weights`, with classes as strata for the
            stratified NV. What is to be compared in pairs (networks on the same images) needs the same ones.
        labels: int64 (S,): take the stratified NV, for which `variances` was given these labels.
    """
    value = mean_of_finite(layer.ratios(stratified=labels is not None))
    means = _kept_means(layer.kept, weights.to(layer.kept.device), labels)
    return Resampled(value, value + (means - means.nanmean()))


def resampled_network(layers: Sequence[Resampled]) -> Resampled:
    """The mean over layers, of resamples by the same weights."""
    value, samples = torch.tensor([each.value for each in layers]).double(), torch.stack([e.samples for e in layers])
    # a layer whose kept units are all dead in a resample counts with its value there: it cannot tell how it varies
    samples = samples.double().where(samples.isfinite(), value[:, None])
    share = value.isfinite().double()
    weighed = torch.cat([value[:, None], samples], 1).where(share[:, None] > 0, 0.0)
    mean = (share @ weighed) / share.sum()
    return Resampled(float(mean[0]), mean[1:])


def _kept_means(kept: Tensor, weights: Tensor, labels: Tensor | None) -> Tensor:
    """(S, T, m), (B, S) -> (B,): the mean over units, of the mean over classes where there are labels."""
    if labels is None:
        return finite_mean(WeightedRatio(kept).under(weights), 1).cpu()
    labels = labels.cpu()
    sizes = labels.unique(return_counts=True)[1].tolist()
    images = labels.argsort(stable=True).to(kept.device)
    by_class = [WeightedRatio(kept[rows]).under(weights[:, rows]) for rows in images.split(sizes)]
    return finite_mean(finite_mean(torch.stack(by_class), 0), 1).cpu()
