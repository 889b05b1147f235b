"""What corruption costs: accuracies, errors as a share of another network's, and their spread."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from src.core.errors import UserError
from src.core.result import Result, save
from src.studies.robustness.corruption import Robustness, corrupted_images, robustness, spread_of
from src.studies.robustness.corruption_panels import robustness_panels
from src.studies.robustness.shifted import Reference, Shifted, read_reference
from tests.fakes.study import pictures
from tests.studies.robustness.answers import CORRUPTIONS, SEVERITIES, shifted_of, some_shifted


def findings(shifted: Shifted, reference: Reference | None = None) -> Robustness:
    return robustness(shifted, reference, resamples=200, seed=0)


def test_four_images_by_hand():
    # of corruption 0 half are right at the first severity and none at the second; of corruption 1 all, and half
    half, none, every = torch.tensor([1.0, 1, 0, 0]), torch.zeros(4), torch.ones(4)
    correct = torch.stack([torch.stack([half, none]), torch.stack([every, half])])[None]
    network = findings(shifted_of(correct, torch.tensor([[1.0, 1, 1, 0]]))).networks["0"]
    assert network.clean_accuracy.value == 0.75 and network.clean.accuracy == 0.75
    assert network.corrupted_accuracy.value == 0.5
    assert network.retained == pytest.approx(2 / 3)
    assert network.relative is None
    assert [estimate.value for estimate in network.accuracies] == [0.25, 0.75]
    assert [[cell.accuracy for cell in cells] for cells in network.cells] == [[0.5, 0.0], [1.0, 0.5]]
    clean, first, second = network.severities
    assert [at.severity for at in network.severities] == [0, 1, 5]
    assert [at.accuracy.value for at in network.severities] == [0.75, 0.75, 0.25]
    assert clean.accuracy_spread is None
    assert (first.accuracy_spread.least, first.accuracy_spread.median, first.accuracy_spread.greatest) == (0.5, 0.75, 1)
    assert second.accuracy_spread.mean == 0.25
    assert network.corrupted.ece == pytest.approx(0.0), "as sure as right"
    assert all((estimate.n, estimate.unit) == (4, "images") for estimate in network.accuracies)
    assert network.clean_accuracy.low < 0.75 < network.clean_accuracy.high


def test_errors_are_divided_by_the_references_by_hand():
    correct = torch.tensor([[[[0.0, 0], [0, 1]], [[1, 1], [0, 1]]], [[[0.0, 1], [0, 1]], [[0, 1], [0, 1]]]])
    shifted = shifted_of(correct, torch.tensor([[1.0, 1], [1, 1]]))
    first, second = findings(shifted, shifted.reference("1")).networks.values()
    # sums of errors over severities: 1.5 and 0.5 against 1 and 1
    assert first.relative.by_corruption == pytest.approx((1.5, 0.5))
    assert first.relative.mce.value == pytest.approx(1.0)
    assert first.relative.relative_mce.value == pytest.approx(1.0), "nothing is lost on clean images"
    assert first.relative.benchmark_mce == pytest.approx(1.0)
    assert second.relative.by_corruption == (1.0, 1.0)


def test_without_a_right_clean_image_nothing_is_retained():
    network = findings(shifted_of(torch.ones(1, 1, 1, 2), torch.zeros(1, 2))).networks["0"]
    assert math.isnan(network.retained)


def test_mce_is_the_mean_over_corruptions_of_summed_errors_against_the_reference():
    shifted = some_shifted()
    small, large = findings(shifted, shifted.reference("large")).networks.values()
    errors = 1 - shifted.scores["correct"].double().mean(-1).numpy()  # (M, C, S)
    clean = 1 - shifted.clean["correct"].double().mean(-1).numpy()
    mce = small.relative.mce
    assert mce.value == pytest.approx((errors[0].sum(1) / errors[1].sum(1)).mean())
    lost = (errors - clean[:, None, None]).sum(2)
    assert small.relative.relative_mce.value == pytest.approx((lost[0] / lost[1]).mean())
    assert mce.low < mce.value < mce.high and (mce.n, mce.unit) == (40, "images")
    same = large.relative.mce
    assert same.value == same.low == same.high == pytest.approx(1.0), "resampled with the same images"
    assert small.corrupted_accuracy.value == pytest.approx(1 - errors[0].mean())
    assert small.retained == pytest.approx((1 - errors[0].mean()) / (1 - clean[0]))


def with_panels(robustness: Robustness) -> Result:
    result = Result("measure", "n")
    result.add(*robustness_panels(robustness, 3))
    return result


def test_without_a_reference_there_is_no_mce_and_it_is_said():
    result = with_panels(findings(some_shifted()))
    assert "mce" not in result.tables["robustness"] and "ce" not in result.tables["corruptions"]
    assert "there is no mCE" in result.captions["robustness"]


def test_another_results_errors_are_a_reference(tmp_path):
    shifted = some_shifted()
    save(with_panels(findings(shifted)), tmp_path)
    other = read_reference(tmp_path, CORRUPTIONS, SEVERITIES)
    assert torch.allclose(other.errors[..., 0], 1 - shifted.scores["correct"][0].double().mean(-1))
    assert other.clean.item() == pytest.approx(1 - shifted.clean["correct"][0].double().mean().item())
    mce = findings(shifted, other).networks["small"].relative.mce
    assert mce.value == pytest.approx(1.0) and mce.low < 1 < mce.high
    with pytest.raises(UserError, match="has no fog of severity 1; measure it with the same study"):
        read_reference(tmp_path, ("fog",), (1,))
    with pytest.raises(UserError, match="no result can be read there"):
        read_reference(tmp_path / "nowhere", CORRUPTIONS, SEVERITIES)


def test_the_spread_is_five_numbers_and_the_mean_over_corruptions():
    values = some_shifted().scores["correct"][0, :, 1]
    means = values.double().mean(1).numpy()
    spread = spread_of(values)
    five = (spread.least, spread.first_quartile, spread.median, spread.third_quartile, spread.greatest)
    assert five == pytest.approx(tuple(np.quantile(means, [0, 0.25, 0.5, 0.75, 1])))
    assert spread.mean == pytest.approx(means.mean())


def test_images_whose_class_has_no_probability_are_counted_apart():
    shifted = some_shifted()
    nll = shifted.scores["nll"].clone()
    nll[0, 0, 0, :3] = torch.inf
    shifted = replace(shifted, scores={**shifted.scores, "nll": nll})
    scores = findings(shifted).networks["small"].severities[1].scores
    assert scores.infinite_nll == 3
    assert scores.nll == pytest.approx(nll[0, :, 0][nll[0, :, 0].isfinite()].double().mean().item())


def test_corrupted_images_begin_with_the_clean_ones():
    images = pictures(5)
    sample = corrupted_images(images, CORRUPTIONS, SEVERITIES, seed=0)
    assert sample.images.shape == (2, 2, 3, 3, 16, 16) and sample.images.dtype == torch.uint8
    assert all(torch.equal(sample.images[row, :, 0], images[[0, 2]]) for row in range(2))
    assert not torch.equal(sample.images[0, :, 1], sample.images[1, :, 1])
