"""Calibration, histograms, and how unknown images are told from known ones."""

from __future__ import annotations

import math

import pytest
import torch

from src.statistics.bootstrap import bootstrap_weights
from src.studies.robustness import calibration as module
from src.studies.robustness.calibration import calibration, detected, detection, histogram
from tests.studies.robustness.answers import log_probabilities


def test_four_answers_by_hand():
    # right with 0.9 and 0.6, wrong with 0.6, and wrong without a chance
    answers = torch.tensor([[0.9, 0.1], [0.6, 0.4], [0.6, 0.4], [1.0, 0.0]]).double().log()
    scores = calibration(answers, torch.tensor([0, 0, 1, 1])).scores
    assert scores.accuracy == 0.5 and scores.confidence == pytest.approx(0.775)
    assert scores.infinite_nll == 1
    assert scores.nll == pytest.approx(-(math.log(0.9) + math.log(0.6) + math.log(0.4)) / 3)
    assert scores.nll_clipped == pytest.approx((3 * scores.nll - math.log(1e-7)) / 4)
    assert scores.brier == pytest.approx((0.02 + 0.32 + 0.72 + 2) / 4)
    # bins of 0.9 (1 image, right), 0.6 (2 images, half right) and 1.0 (1 image, wrong)
    assert scores.ece == pytest.approx((0.1 + 2 * 0.1 + 1.0) / 4)
    entropy = -(0.6 * math.log(0.6) + 0.4 * math.log(0.4))
    assert scores.entropy_wrong == pytest.approx(entropy / 2)
    # of 4 x 4 pairs of a true (0.9, 0.6, 0.4, 0) and a false probability (0.1, 0.4, 0.6, 1)
    assert scores.auc == pytest.approx((3 + 2.5 + 1.5 + 0) / 16)


def test_without_a_wrong_answer_its_entropy_is_no_number():
    scores = calibration(torch.tensor([[0.9, 0.1]]).double().log(), torch.tensor([0])).scores
    assert math.isnan(scores.entropy_wrong) and not math.isnan(scores.entropy_right)


def test_a_histogram_holds_every_value_with_both_ends():
    values = histogram(torch.tensor([0.0, 0.05, 0.5, 1.0]), 1.0)
    assert values.shares[0] == 0.5 and values.shares[7] == 0.25 and values.shares[-1] == 0.25
    assert values.middles[0] == pytest.approx(1 / 30) and len(values.middles) == 15


def test_reliability_and_histograms_hold_every_image():
    answers, labels = log_probabilities(50), torch.arange(50) % 3
    network = calibration(answers, labels)
    assert sum(row["share"] for row in network.reliability) == pytest.approx(1.0)
    right = sum(row["share"] * row["accuracy"] for row in network.reliability)
    assert right == pytest.approx((answers.argmax(1) == labels).double().mean().item())
    for values, greatest, mean in (
        (network.confidence, 1.0, network.scores.confidence),
        (network.entropy, math.log(3), network.scores.entropy),
    ):
        assert sum(values.shares) == pytest.approx(1.0) and max(values.middles) < greatest
        pairs = zip(values.shares, values.middles, strict=True)
        assert sum(share * middle for share, middle in pairs) == pytest.approx(mean, abs=greatest / 15)


def test_unknown_images_are_told_by_confidence_and_entropy():
    known = torch.tensor([[0.9, 0.1], [0.7, 0.3]]).double().log()
    unknown = torch.tensor([[0.5, 0.5], [0.8, 0.2]]).double().log()
    network = detection(known, unknown, resamples=50, seed=0)
    assert network.auroc_confidence.value == network.auroc_entropy.value == 0.75
    assert (network.auroc_confidence.n, network.auroc_confidence.unit) == (4, "images")
    assert (network.known, network.unknown) == (2, 2)
    assert network.confidence_known == pytest.approx(0.8) and network.confidence_unknown == pytest.approx(0.65)
    assert network.entropies_unknown.shares[-1] == 0.5


def test_auroc_resamples_are_weighted_pairs(monkeypatch):
    known, unknown = torch.tensor([0.9, 0.5, 0.5, 0.7]).double(), torch.tensor([0.5, 0.2, 0.8]).double()
    runs = []
    monkeypatch.setattr(module, "estimate", lambda run, **_: runs.append(run))
    detected(known, unknown, resamples=7, seed=3)
    pairs = (known[:, None] > unknown).double() + 0.5 * (known[:, None] == unknown)
    first, second = (bootstrap_weights(n, resamples=7, seed=seed).double() for n, seed in ((4, 3), (3, 4)))
    expected = torch.einsum("bi,ij,bj->b", first, pairs, second) / 12
    assert runs[0].value == pytest.approx(pairs.mean().item())
    assert torch.allclose(runs[0].samples, expected)
