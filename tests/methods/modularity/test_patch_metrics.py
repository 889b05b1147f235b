"""The patch's table counts right and compares in pairs."""

import math

import pytest
import torch
from sklearn.metrics import f1_score, precision_score, recall_score

from src.methods.modularity.patch_metrics import METRICS, compare, target_metrics


def answers(accuracy: float, labels: torch.Tensor, seed: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    wrong = torch.randint(4, labels.shape, generator=generator)
    return torch.where(torch.rand(labels.shape, generator=generator) < accuracy, labels, wrong)


LABELS = torch.arange(600) % 4


def test_metrics_equal_sklearn() -> None:
    predicted = answers(0.6, LABELS, 0)
    found = target_metrics(predicted, LABELS, 1)
    truth, taken = LABELS == 1, predicted == 1
    assert found.precision.item() == pytest.approx(precision_score(truth, taken))
    assert found.recall.item() == pytest.approx(recall_score(truth, taken))
    assert found.f1.item() == pytest.approx(f1_score(truth, taken))
    assert found.other_accuracy.item() == pytest.approx((predicted == LABELS)[~truth].double().mean().item())
    two = target_metrics(predicted, LABELS, 1, patched=[1, 3])
    assert two.other_accuracy.item() == pytest.approx((predicted == LABELS)[LABELS % 2 == 0].double().mean().item())
    assert two.f1 == found.f1


def test_weights_are_repeated_images() -> None:
    predicted = answers(0.6, LABELS, 0)
    weights = torch.stack([torch.ones(600), torch.arange(600) % 3])
    found = target_metrics(predicted, LABELS, 2, weights=weights)
    repeated = torch.arange(600).repeat_interleave(torch.arange(600) % 3)
    once, twice = target_metrics(predicted, LABELS, 2), target_metrics(predicted[repeated], LABELS[repeated], 2)
    for metric in METRICS:
        expected = [getattr(once, metric).item(), getattr(twice, metric).item()]
        assert getattr(found, metric).tolist() == pytest.approx(expected)


def test_nothing_found_is_zero_and_nothing_asked_is_undefined() -> None:
    never = target_metrics(torch.zeros(4).long(), torch.tensor([0, 0, 1, 1]), 1)
    assert math.isnan(never.precision) and never.recall == 0 and never.f1 == 0 and never.other_accuracy == 1
    absent = target_metrics(torch.zeros(4).long(), torch.zeros(4).long(), 1)
    assert math.isnan(absent.f1) and math.isnan(absent.recall)


def test_comparison_pairs_methods_on_the_same_images() -> None:
    weak = answers(0.5, LABELS, 0)
    better = torch.where(torch.arange(600) % 7 == 0, LABELS, weak)
    found = compare({"weak": weak, "patched": better}, LABELS, 1, reference="weak", resamples=500)
    gain = found.gains["patched"]["f1"]
    f1 = found.estimates["patched"]["f1"]
    assert gain.value == pytest.approx(f1.value - found.estimates["weak"]["f1"].value)
    assert 0 < gain.low < gain.value < gain.high and gain.high - gain.low < f1.high - f1.low
    assert (f1.n, f1.unit) == (150, "target images")
    assert found.estimates["weak"]["other_accuracy"][3:] == (450, "other images")
    assert all(value == 0 for value in found.gains["weak"]["f1"][:3])
    assert found == compare({"weak": weak, "patched": better}, LABELS, 1, reference="weak", resamples=500)


def test_seeds_widen_the_interval() -> None:
    runs = torch.stack([answers(accuracy, LABELS, seed) for seed, accuracy in enumerate((0.4, 0.6, 0.8))])
    found = compare({"weak": runs, "same": runs}, LABELS, 1, reference="weak", resamples=400)
    single = compare({"weak": runs[1]}, LABELS, 1, reference="weak", resamples=400)
    each = [target_metrics(run, LABELS, 1).f1.item() for run in runs]
    estimate = found.estimates["weak"]["f1"]
    assert estimate.value == pytest.approx(sum(each) / 3)
    alone = single.estimates["weak"]["f1"]
    assert estimate.high - estimate.low > alone.high - alone.low
    assert found.gains["same"]["f1"].high == 0
