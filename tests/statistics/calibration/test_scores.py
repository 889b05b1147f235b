"""Scores of single images, by hand and by slow sums."""

import math

import pytest
import torch
from sklearn.metrics import roc_auc_score
from torchmetrics.classification import MulticlassCalibrationError

from src.statistics.calibration import ece, micro_auc, per_image, reliability

LOGS = torch.tensor(
    [[0.7, 0.2, 0.1], [0.5, 0.5, 0.0], [0.0, 0.0, 1.0], [1 / 3, 1 / 3, 1 / 3]], dtype=torch.float64
).log()
LABELS = torch.tensor([0, 1, 1, 2])


def test_by_hand():
    found = per_image(LOGS, LABELS)
    assert found["correct"].tolist() == [True, False, False, False]  # of equal ones the first is the answer
    assert found["confidence"].tolist() == pytest.approx([0.7, 0.5, 1.0, 1 / 3])
    assert found["nll"].tolist() == pytest.approx([-math.log(0.7), math.log(2), math.inf, math.log(3)])
    assert found["nll_clipped"].tolist() == pytest.approx([-math.log(0.7), math.log(2), 16.118096, math.log(3)])
    assert found["brier"].tolist() == pytest.approx([0.09 + 0.04 + 0.01, 0.5, 2.0, 6 / 9])
    entropy = -0.7 * math.log(0.7) - 0.2 * math.log(0.2) - 0.1 * math.log(0.1)
    assert found["entropy"].tolist() == pytest.approx([entropy, math.log(2), 0.0, math.log(3)])
    assert found["top5"].tolist() == [True, True, False, True], "a class without probability is among no top five"


def test_many_classes():
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(200, 20, generator=generator)
    labels = torch.randint(20, (200,), generator=generator)
    found = per_image(logits.log_softmax(1), labels)
    assert torch.equal(found["correct"], logits.argmax(1) == labels)
    assert torch.equal(found["top5"], (logits.topk(5).indices == labels[:, None]).any(1))
    assert torch.allclose(found["nll"], torch.nn.functional.cross_entropy(logits, labels, reduction="none").double())
    assert torch.allclose(
        found["entropy"], torch.distributions.Categorical(logits=logits.double()).entropy(), atol=1e-6
    )
    truth = torch.nn.functional.one_hot(labels, 20)
    assert torch.allclose(found["brier"], (logits.double().softmax(1) - truth).square().sum(1), atol=1e-6)
    assert all(values.shape == (200,) for values in found.values())
    assert found["top5"].sum() > found["correct"].sum()


def test_a_constant_answer_is_right_on_one_class_alone():
    found = per_image(torch.zeros(20, 20).log_softmax(1), torch.arange(20))
    assert found["correct"].sum() == 1 and found["top5"].sum() == 5


def answers(images: int = 500, classes: int = 6) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(images, classes, generator=generator)
    labels = torch.multinomial(logits.softmax(1), 1, generator=generator)[:, 0]
    return (3 * logits).softmax(1), labels  # three times too sure


@pytest.mark.parametrize("bins", [10, 15])
def test_it_equals_torchmetrics(bins: int):
    p, labels = answers()
    scores = per_image(p.double().log(), labels)
    expected = MulticlassCalibrationError(6, n_bins=bins, norm="l1")(p.double(), labels)
    assert ece(scores["confidence"], scores["correct"], bins) == pytest.approx(expected.item(), abs=1e-6)
    assert expected > 0.1


def test_bins_by_hand():
    confidence = torch.tensor([0.1, 0.5, 0.45, 0.5000001, 1.0, 1.0, 0.95])
    correct = torch.tensor([False, True, False, True, True, False, True])
    rows = reliability(confidence, correct, bins=2)
    assert [row["bin"] for row in rows] == [0, 1]  # 0.5 belongs to the lower one
    assert rows[0] == pytest.approx({"bin": 0, "confidence": 0.35, "accuracy": 1 / 3, "share": 3 / 7})
    assert rows[1] == pytest.approx({"bin": 1, "confidence": 3.45 / 4, "accuracy": 0.75, "share": 4 / 7})
    assert ece(confidence, correct, 2) == pytest.approx(
        3 / 7 * abs(0.35 - 1 / 3) + 4 / 7 * abs(3.45 / 4 - 0.75), abs=1e-6
    )
    assert [row["bin"] for row in reliability(torch.tensor([0.0, 1.0]), torch.tensor([True, True]))] == [0, 14]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("bins", [5, 10, 15, 100])
def test_a_bin_holds_its_upper_bound_however_it_is_rounded(dtype: torch.dtype, bins: int):
    bounds = torch.arange(1, bins + 1, dtype=torch.float64).div(bins).to(dtype)
    rows = reliability(bounds, torch.ones(bins), bins)
    assert [row["bin"] for row in rows] == list(range(bins))
    above = reliability(bounds[:-1] + 4 * torch.finfo(dtype).eps, torch.ones(bins - 1), bins)
    assert [row["bin"] for row in above] == list(range(1, bins))


def test_the_error_is_the_rows():
    p, labels = answers()
    scores = per_image(p.log(), labels)
    rows = reliability(scores["confidence"], scores["correct"])
    assert sum(row["share"] for row in rows) == pytest.approx(1)
    assert ece(scores["confidence"], scores["correct"]) == pytest.approx(
        sum(row["share"] * abs(row["confidence"] - row["accuracy"]) for row in rows)
    )
    assert math.isnan(ece(torch.zeros(0), torch.zeros(0)))


def test_the_pooled_area_equals_sklearn():
    p, labels = answers()
    p = p.mul(20).round().div(20)  # with many ties
    truth = torch.nn.functional.one_hot(labels, 6)
    assert micro_auc(p, labels) == pytest.approx(roc_auc_score(truth.flatten(), p.flatten()))
    assert micro_auc(p.log(), labels) == pytest.approx(micro_auc(p, labels)), "logarithms have the same order"
