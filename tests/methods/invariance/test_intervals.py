"""Resamples of images against resampling written out, and how often the intervals hold the truth."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from src.methods.invariance.intervals import resampled_layer, resampled_network
from src.methods.invariance.passes import Examination, Setup
from src.methods.invariance.ratio import mean_of_finite, ratio_of
from src.methods.invariance.variance import LayerVariance, Variances, variances
from src.networks.activations import Layer
from src.statistics.bootstrap import bootstrap_weights, estimate, over_seeds, paired_difference
from tests.methods.invariance.sets import Rotations, network, photos


def measured(images: Tensor, labels: Tensor | None = None, seed: int = 0, **setup: object) -> Variances:
    examination = Examination(network(seed), images, Rotations(), setup=Setup(**setup))  # type: ignore[arg-type]
    return variances(examination, labels, kept_units=1000)


def nv(values: Tensor) -> Tensor:
    """(S, T, m) -> (m,)."""
    return values.double().std(1).mean(0) / values.double().std(0).mean(0)


def repeated(weights: Tensor) -> Tensor:
    """The images of one resample, each as often as it was drawn."""
    return torch.arange(len(weights)).repeat_interleave(weights.long())


def test_resamples_of_images() -> None:
    found = measured(photos(20))
    weights = bootstrap_weights(20, resamples=5, seed=3)
    for each in found.layers:
        resampled = resampled_layer(each, weights)
        assert resampled.value == each.ratio.mean
        ratios = [nv(each.kept[repeated(weight)]) for weight in weights]
        means = torch.stack([own[own.isfinite()].mean() for own in ratios])
        torch.testing.assert_close(resampled.samples, each.ratio.mean + means - means.mean(), atol=1e-9, rtol=0)


def test_within_classes() -> None:
    images, labels = photos(24), torch.arange(24) % 3
    found = measured(images, labels)
    weights = bootstrap_weights(24, resamples=4, seed=3, strata=labels)
    last = found.layers[-1]
    assert last.stratified is not None
    stratified = mean_of_finite(last.stratified)
    resampled = resampled_layer(last, weights, labels)
    assert resampled.value == stratified != last.ratio.mean
    drawn = [repeated(weight) for weight in weights]
    means = torch.stack([
        torch.stack([nv(last.kept[images[labels[images] == k]]) for k in range(3)]).mean() for images in drawn
    ])  # fmt: skip
    torch.testing.assert_close(resampled.samples, stratified + means - means.mean(), atol=1e-9, rtol=0)
    with pytest.raises(ValueError, match="nothing was stratified"):
        resampled_layer(measured(images).layers[-1], weights, labels)


def test_the_network() -> None:
    found = measured(photos(16))
    layers = [resampled_layer(each, bootstrap_weights(16, resamples=50, seed=0)) for each in found.layers]
    per_layer = resampled_network(layers)
    assert per_layer.value == pytest.approx(found.over_layers(), rel=1e-6) and per_layer.samples.shape == (50,)
    torch.testing.assert_close(per_layer.samples, torch.stack([each.samples for each in layers]).mean(0))
    dead = layers[0]._replace(value=float("nan"), samples=torch.full((50,), torch.nan))
    assert resampled_network([dead, *layers[1:]]).value == pytest.approx(resampled_network(layers[1:]).value)


def test_networks_on_the_same_images_are_compared_in_pairs() -> None:
    """Networks that hardly differ: their difference is known better than either, with one seed for both."""
    images = photos(40)
    images[::4] //= 8  # images that differ in contrast, so that resamples do
    model = network()
    other = network()
    with torch.no_grad():
        weight = other.get_parameter("0.weight")
        weight.add_(0.01 * torch.randn(weight.shape))
    one, two = (variances(Examination(each, images, Rotations())).layers[0] for each in (model, other))

    def width(first_seed: int, second_seed: int) -> float:
        runs = [resampled_layer(each, bootstrap_weights(40, resamples=400, seed=seed))
                for each, seed in ((one, first_seed), (two, second_seed))]  # fmt: skip
        found = estimate(paired_difference(*runs), n=40, unit="images")
        return found.high - found.low

    assert width(0, 0) < width(0, 1) / 5


def test_over_networks_of_several_seeds() -> None:
    weights = bootstrap_weights(20, resamples=100, seed=0)
    runs = [resampled_layer(measured(photos(20), seed=seed).layers[-1], weights) for seed in range(3)]
    found = estimate(over_seeds(runs, seed=0), n=3, unit="seeds")
    assert found.low < found.value < found.high


def _layer(activations: Tensor, m: int) -> LayerVariance:
    values = activations.double()
    ratio = ratio_of(values.std(1).mean(0), values.std(0).mean(0), scale=torch.ones(()).double(), dtype=torch.float32)
    return LayerVariance(Layer("one", "Linear", activations.shape[2:]), ratio, activations[..., :m])


@pytest.mark.parametrize("kept", [24, 8])
def test_intervals_hold_the_truth(kept: int) -> None:
    """24 units of images that differ in size, all of them kept or a third."""
    generator = torch.Generator().manual_seed(0)
    share = 0.2 + 0.8 * torch.rand(24, generator=generator)

    def draw(images: int) -> Tensor:
        size = 0.3 + torch.rand(images, 1, 1, generator=generator)
        own = torch.randn(images, 1, 24, generator=generator)
        return size * own + share * size**2 * torch.randn(images, 8, 24, generator=generator)

    truth = _layer(draw(100_000), kept).ratio.mean
    held = 0
    for trial in range(100):
        weights = bootstrap_weights(80, resamples=300, seed=trial)
        found = estimate(resampled_layer(_layer(draw(80), kept), weights))
        held += found.low <= truth <= found.high
    assert 90 <= held <= (99 if kept == 24 else 100)
