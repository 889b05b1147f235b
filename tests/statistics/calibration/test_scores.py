"""Scores of single images, by hand and by slow sums."""

import math

import pytest
import torch

from src.statistics.calibration import per_image

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
