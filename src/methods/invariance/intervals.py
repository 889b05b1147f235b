"""Intervals of a layer's and a network's mean NV, by resampling images.

All activations of all images are too many to keep, so that the resamples are of the units that `variances` kept: how
far their mean ratio moves about its mean over the resamples is added to the mean over all units. (Not how far from
the ratio at hand: images occur twice in a resample, whose spread over images is too small on average.) Few units vary
more than all of them do, so that intervals are rather too wide. Where the spreads of a map's positions are averaged
(``after=mean``), those kept are of single positions, which again vary more.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from src.methods.invariance.variance import LayerVariance
from src.methods.invariance.weighted import WeightedRatio, finite_mean
from src.statistics.bootstrap import Resampled


def resampled_layer(found: LayerVariance, weights: Tensor, labels: Tensor | None = None) -> Resampled:
    """The layer's mean NV, or stratified NV, and that of every resample: float64 (B,) on the CPU.

    Args:
        found: with activations kept.
        weights: float (B, S), of `src.statistics.bootstrap.bootstrap_weights`, with classes as strata for the
            stratified NV. What is to be compared in pairs (networks on the same images) needs the same ones.
        labels: int64 (S,): take the stratified NV, for which `variances` was given these labels.
    """
    if labels is None:
        value = found.ratio.mean
    elif found.stratified is not None:
        value = found.stratified.mean
    else:
        raise ValueError("nothing was stratified: no labels were given to variances")
    means = _kept_means(found.kept, weights, labels)
    return Resampled(value, value + (means - means.nanmean()))


def resampled_network(layers: Sequence[Resampled], units: Sequence[int] | None = None) -> Resampled:
    """The mean over layers, of resamples by the same weights.

    Args:
        units: how many units of each layer are finite: then the mean is over all units.
    """
    value, samples = torch.tensor([each.value for each in layers]).double(), torch.stack([e.samples for e in layers])
    # a layer whose kept units are all dead in a resample counts with its value there: it cannot tell how it varies
    samples = samples.double().where(samples.isfinite(), value[:, None])
    share = torch.ones(len(layers)) if units is None else torch.tensor(units)
    share = share.double().where(value.isfinite(), 0.0)
    weighed = torch.cat([value[:, None], samples], 1).where(share[:, None] > 0, 0.0)
    mean = (share @ weighed) / share.sum()
    return Resampled(float(mean[0]), mean[1:])


def _kept_means(kept: Tensor, weights: Tensor, labels: Tensor | None) -> Tensor:
    """(S, T, m), (B, S) -> (B,): the mean over units, of the mean over classes where there are labels."""
    if labels is None:
        return finite_mean(WeightedRatio(kept).under(weights), 1).cpu()
    labels = labels.to(kept.device)
    classes = [(labels == label).nonzero()[:, 0] for label in labels.unique()]
    ratios = [WeightedRatio(kept[rows]).under(weights[:, rows.to(weights.device)]) for rows in classes]
    return finite_mean(finite_mean(torch.stack(ratios), 0), 1).cpu()
