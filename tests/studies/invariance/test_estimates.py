"""Findings against numbers by hand."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from src.imageops.transformations import transformation_set
from src.methods.invariance.ratio import Ratio
from src.methods.invariance.variance import LayerVariance, Variances
from src.networks.activations import Layer
from src.studies.invariance.estimates import Resamples, accuracy, findings_of, parts_of_all, variability
from src.studies.invariance.findings import AUGMENTED, PLAIN, UNTRAINED, Further
from src.studies.invariance.measured import Measured
from tests.fakes.networks import subject
from tests.studies.invariance.given import COUNT, TURNS, measured_images, options, run

NAN, INF = math.nan, math.inf
LABELS = torch.tensor([0, 0, 1, 1])


def ratio(values: list[float]) -> Ratio:
    """Spreads over transformations of 1 and 3 ... whatever the ratio."""
    found = torch.tensor(values, dtype=torch.float64)
    spread = torch.arange(len(values)).double() * 2 + 1
    return Ratio(spread, spread / 2, found)


def layer(name: str, values: list[float], stratified: list[float], kept: Tensor | None = None) -> LayerVariance:
    kept = torch.randn(4, 3, 2, generator=torch.Generator().manual_seed(len(name))) if kept is None else kept
    return LayerVariance(Layer(name, "Linear", (len(values),)), ratio(values), kept, ratio(stratified).values)


def layers() -> Variances:
    """Means 2, 4 and 8; within classes 1, 2 and 3."""
    return Variances(
        [
            layer("a", [1.0, 3.0], [1.0, 1.0]),
            layer("bb", [NAN, INF, 4.0], [NAN, INF, 2.0]),
            layer("ccc", [8.0], [3.0]),
        ],
        groups=1,
    )


def test_the_interval_of_an_accuracy_is_that_of_the_resamples() -> None:
    shares = torch.tensor([[0.25, 0.25, 0.25, 0.25], [0.5, 0.0, 0.5, 0.0]], dtype=torch.float64)
    correct = torch.tensor([True, False, True, True])  # resamples: 0.75 and 1
    found = accuracy(correct, shares)
    assert found.value == 0.75 and (found.n, found.unit) == (4, "images")
    assert (found.low, found.high) == pytest.approx((0.75 + 0.025 * 0.25, 1 - 0.025 * 0.25))
    both = accuracy(torch.stack([correct, ~correct], 1), shares)
    assert (both.value, both.low, both.high) == (0.5, 0.5, 0.5), "of each image one of two transformations"


def test_shares_of_resamples_sum_to_one() -> None:
    weights = torch.tensor([[2.0, 0.0, 1.0, 1.0]])
    assert Resamples(weights, 2 * weights).shares.tolist() == [[0.5, 0.0, 0.25, 0.25]]


def test_a_network_is_told_by_its_layers() -> None:
    weights = torch.tensor([[1.0, 1.0, 1.0, 1.0], [2.0, 0.0, 1.0, 1.0], [1.0, 1.0, 0.0, 2.0]])
    found = variability(layers(), LABELS, Resamples(weights, weights), detailed=True)
    assert (found.units, found.dead, found.infinite) == (6, 1, 1)
    assert found.over_layers == pytest.approx(14 / 3) and found.over_layers_stratified == pytest.approx(2.0)
    assert found.over_units == 4.0, "(1 + 3 + 4 + 8) / 4"
    assert found.mean.value == pytest.approx(14 / 3) and (found.mean.n, found.mean.unit) == (4, "images")
    assert found.rise.value == 6.0, "the last less the first, the middle one is in neither half"
    assert found.rank_correlation.value == pytest.approx(1.0)
    assert [each.name for each in found.layers] == ["a", "bb", "ccc"]
    assert [each.nv.value for each in found.layers] == [2.0, 4.0, 8.0]
    assert [each.stratified.value for each in found.layers] == [1.0, 2.0, 3.0]
    assert [each.transformation_spread for each in found.layers] == [2.0, 3.0, 1.0], "1, 3, 5 ..."
    assert [each.image_spread for each in found.layers] == [1.0, 1.5, 0.5]
    assert [each.kept_units for each in found.layers] == [2, 2, 2]
    for number, each in enumerate([found.mean, found.rise, *(each.nv for each in found.layers)]):
        assert each.low < each.value < each.high, number
    means, rises = found.resampled_mean.samples, found.resampled_rise.samples
    assert means.shape == rises.shape == (3,) and float(rises.mean()) == pytest.approx(6.0)
    assert float(means.mean()) == pytest.approx(14 / 3)


def test_of_a_network_aside_nothing_is_told_layer_by_layer() -> None:
    weights = torch.ones(2, 4)
    brief = variability(layers(), LABELS, Resamples(weights, weights), detailed=False)
    assert brief.layers == () and brief.rise.value == 6.0 and brief.units == 6


def test_parts_of_images_that_nothing_moves_are_as_good_as_all() -> None:
    kept = torch.arange(8.0)[:, None, None].expand(8, 4, 1)
    parts = parts_of_all([layer("a", [1.0], [1.0], kept)], seed=0)
    assert [(part.images, part.transformations) for part in parts] == [(2, 2), (4, 2)]
    assert [part.error for part in parts] == [0.0, 0.0]
    assert parts_of_all([layer("a", [1.0], [1.0], kept[:3])], seed=0) == (), "three cannot be halved"


def test_the_error_of_a_part_is_the_mean_over_its_repeats() -> None:
    kept = torch.randn(4, 4, 1, generator=torch.Generator().manual_seed(3))
    (part,) = parts_of_all([layer("a", [1.0], [1.0], kept)], seed=0)
    (same,) = parts_of_all([layer("a", [1.0], [1.0], 7 * kept)], seed=0)
    assert 0 < part.error < 1 and same.error == pytest.approx(part.error), "a share of the values"


def measured(role: Any, right: list[bool], aside: bool = False) -> Measured:
    """Answers by quarter turn, the same for all images."""
    images = measured_images()
    kept = torch.randn(COUNT, 4, 2, generator=torch.Generator().manual_seed(0))
    variances = Variances([layer("out", [1.0, 2.0, 3.0], [1.0, 1.0, 1.0], kept)], 1)
    variances.layers[0].class_units = torch.arange(9.0).view(3, 3)
    return Measured(role, aside, subject(), torch.tensor([right] * len(images)), {"none": variances}, Further())


def test_networks_aside_are_told_of_as_a_whole_and_the_untrained_have_no_outputs() -> None:
    of = [
        measured(PLAIN, [True, False, False, False]),
        measured(AUGMENTED, [True, True, True, False]),
        measured(UNTRAINED, [False, False, False, True]),
        measured(PLAIN, [True, True, True, True], aside=True),
    ]
    findings = findings_of(of, measured_images(), transformation_set(TURNS), options(permutations=9), run())
    plain, augmented, untrained, aside = findings.networks
    assert [each.transformed_accuracy.value for each in findings.networks] == [0.25, 0.75, 0.25, 1.0]
    assert [each.accuracy.value for each in findings.networks if each.accuracy] == [1.0, 1.0, 0.0, 1.0]
    assert plain.unambiguous_accuracy is None and list(plain.shares) == ["accuracy", "transformed_accuracy"]
    assert findings.shown == (plain, augmented, untrained) and findings.trained == (plain, augmented)
    assert [each.value for each in augmented.accuracies] == [1.0, 1.0, 1.0, 0.0]
    assert augmented.class_accuracies is not None
    assert augmented.class_accuracies.tolist() == [[1.0, 1.0, 1.0, 0.0]] * 3
    assert aside.accuracies == () and aside.class_accuracies is None and aside.last is None
    assert plain.last is not None and plain.last.by_class is not None and plain.last.test is not None
    assert plain.last.by_class[1].tolist() == [3.0, 4.0, 5.0] and plain.last.units == 3
    assert untrained.last is not None and untrained.last.by_class is None and untrained.last.test is not None
    assert findings.labels == (0, 1, 2) and findings.images == COUNT and findings.maps is None, "there is no map"
