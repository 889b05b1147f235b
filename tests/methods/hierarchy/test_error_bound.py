"""The heuristic in numbers: exact where its assumption holds, and equal to slow sums."""

from __future__ import annotations

import pytest
import torch

from src.methods.hierarchy.composition import Composition, compose
from src.methods.hierarchy.error_bound import (
    class_accuracies,
    hard_forecast,
    hard_prediction,
    hard_recalls,
    soft_bound,
    soft_forecast,
    soft_prediction,
    soft_recalls,
)
from src.methods.hierarchy.nodes import Tree
from tests.methods.hierarchy.trees import THREE, TREES, TWO, answers_of

EVERY = pytest.mark.parametrize("tree", TREES.values(), ids=TREES)


def labelled(tree: Tree, images: int = 600) -> tuple[list[torch.Tensor], torch.Tensor]:
    """Answers that are better than chance."""
    answers, labels = (
        answers_of(tree, images),
        torch.randint(len(tree.classes), (images,), generator=torch.Generator().manual_seed(5)),
    )
    for node, answer in zip(tree.nodes, answers, strict=True):
        right = torch.tensor(node.targets)[labels]
        rows = (right >= 0).nonzero()[:, 0]
        answer[rows, right[rows]] += 2
    return answers, labels


def test_two_levels_by_hand():
    recalls = [torch.tensor([0.8, 0.6]), torch.tensor([0.9, 0.5, 0.7]), torch.tensor([0.4, 1.0])]
    expected = {"cat": 0.72, "car": 0.24, "dog": 0.4, "bus": 0.6, "owl": 0.56}
    assert class_accuracies(TWO, recalls).tolist() == pytest.approx(list(expected.values()))
    shares = torch.tensor([0.1, 0.2, 0.3, 0.2, 0.2])
    # sum_c P(c) r_c a_c, an expert's accuracy over its own images
    a = (0.1 * 0.9 + 0.3 * 0.5 + 0.2 * 0.7) / 0.6, (0.2 * 0.4 + 0.2 * 1.0) / 0.4
    assert hard_prediction(TWO, recalls, shares) == pytest.approx(0.6 * 0.8 * a[0] + 0.4 * 0.6 * a[1])
    assert hard_prediction(TWO, recalls, 50 * shares) == pytest.approx(hard_prediction(TWO, recalls, shares))
    assert soft_prediction(TWO, recalls, shares) == pytest.approx(2 - 2 * hard_prediction(TWO, recalls, shares))


def test_recalls_by_hand():
    answers = [torch.tensor([[2.0, 0], [2, 0], [0, 2], [0, 2]]), torch.tensor([[1.0, 0, 0]] * 4), torch.zeros(4, 2)]
    labels = torch.tensor([0, 2, 2, 1])  # cat, dog, dog, car; every second dog is taken for a vehicle
    root, animals, vehicles = hard_recalls(TWO, answers, labels)
    assert root.tolist() == pytest.approx([2 / 3, 1.0]) and animals[:2].tolist() == [1.0, 0.0]
    assert animals[2].isnan() and vehicles[0] == 1.0 and vehicles[1].isnan()
    p = torch.tensor([2.0, 0]).double().softmax(0)
    assert soft_recalls(TWO, answers, labels)[0].tolist() == pytest.approx([float(2 * p[0] + p[1]) / 3, float(p[0])])
    # classes without images do not matter
    assert hard_forecast(TWO, answers, labels).predicted == pytest.approx(1 - (2 / 3 * 1 + 0 + 0 + 1) / 4)


@EVERY
def test_measured_is_what_the_composed_network_does(tree: Tree):
    answers, labels = labelled(tree)
    hard = compose(tree, answers, Composition("hard"))
    soft = compose(tree, answers, Composition("soft")).exp()
    truth = torch.nn.functional.one_hot(labels, len(tree.classes)).double()
    distance = (soft - truth).abs().sum(1)
    assert hard_forecast(tree, answers, labels).measured == pytest.approx(
        (hard.argmax(1) != labels).double().mean().item()
    )
    assert torch.allclose(soft_bound(tree, answers, labels), distance), "the bound is tight"
    assert soft_forecast(tree, answers, labels).measured == pytest.approx(distance.mean().item())


def test_the_bound_of_the_thesis_is_wider_for_any_other_foreign_truth():
    """||e||_1 + sum_j p(j) ||e_j||_1 with foreign experts' truths drawn at random stays above the distance."""
    answers, labels = labelled(TWO)
    root, *experts = [answer.double().softmax(1) for answer in answers]
    tight, loose = soft_bound(TWO, answers, labels), torch.zeros(len(labels), dtype=torch.float64)
    for image, label in enumerate(labels.tolist()):
        (_, child), (node, right) = TWO.path_of(label)
        loose[image] = 2 * (1 - root[image, child])
        for j, expert in enumerate(experts):
            truth = torch.full_like(expert[image], 1 / expert.shape[1])
            if j + 1 == node:
                truth = torch.eye(len(truth), dtype=torch.float64)[right]
            loose[image] += root[image, j] * (expert[image] - truth).abs().sum()
    assert (loose >= tight - 1e-12).all() and loose.mean() > tight.mean() + 0.05


@EVERY
def test_a_forecast_is_right_where_modules_err_independently(tree: Tree):
    answers, labels = labelled(tree, 20_000)  # random errors, the same chance in all classes of a child
    for forecast in (hard_forecast, soft_forecast):
        found = forecast(tree, answers, labels)
        assert found.predicted == pytest.approx(found.measured, abs=0.02)
        first = [answer[:10_000] for answer in answers]
        recalls = (hard_recalls if forecast is hard_forecast else soft_recalls)(tree, first, labels[:10_000])
        later = forecast(tree, [answer[10_000:] for answer in answers], labels[10_000:], recalls)
        assert later.predicted == pytest.approx(later.measured, abs=0.04)


def test_a_forecast_is_wrong_where_modules_err_together():
    labels = torch.tensor([0, 2, 4, 1, 3]).repeat(20)
    unreadable = torch.arange(100) % 20 < 10  # by any module
    answers = []
    for node in TWO.nodes:
        right = torch.tensor(node.targets)[labels].clamp(min=0)
        said = torch.where(unreadable, (right + 1) % len(node.children), right)
        answers.append(5 * torch.nn.functional.one_hot(said, len(node.children)).float())
    assert hard_forecast(TWO, answers, labels) == pytest.approx((1 - 0.5 * 0.5, 0.5))


def test_crops_are_averaged():
    answers, labels = labelled(THREE, 50)
    crops = [torch.stack([answer, answer], dim=1) for answer in answers]
    assert hard_forecast(THREE, crops, labels) == pytest.approx(hard_forecast(THREE, answers, labels))
    assert torch.allclose(soft_bound(THREE, crops, labels), soft_bound(THREE, answers, labels))
