"""Kernel importance against a loop over single images."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from src.core.errors import UserError
from src.methods.modularity.importance import importance_order, kernel_importance
from src.networks.activations import capture
from src.networks.models import build
from src.networks.slicing import plan_for
from src.networks.slicing.torch_pruning import from_torch_pruning
from tests.networks.slicing.nets import tiny

IMAGE = (3, 16, 16)


def by_loop(model: nn.Module, images: torch.Tensor, labels: torch.Tensor, confidence: float) -> torch.Tensor:
    plan = plan_for(model, IMAGE)
    rows = []
    for label in range(4):
        kept = []
        for image in images[labels == label]:
            with torch.no_grad(), capture(model, [group.tap.module for group in plan.groups]) as maps:
                probability = model(image[None]).softmax(1)[0, label]
            if probability >= confidence:
                kept.append(torch.cat([maps[group.tap.module][0].abs().sum((1, 2)) for group in plan.groups]))
        rows.append(torch.stack(kept).mean(0))
    return torch.stack(rows)


@pytest.mark.parametrize("name", ["simcnn", "rescnn"])
@pytest.mark.parametrize("batch_norm", [False, True])
def test_importance_against_a_loop(name: str, batch_norm: bool) -> None:
    model = tiny(name, batch_norm).double()
    torch.manual_seed(0)
    images, labels = torch.randn(40, *IMAGE, dtype=torch.float64), torch.arange(40) % 4
    with torch.no_grad():
        probability = model.eval()(images).softmax(1).gather(1, labels[:, None])[:, 0]
    # the highest that leaves every class an image
    confidence = min(float(probability[labels == label].max()) for label in range(4)) - 1e-4
    model.train()
    found = kernel_importance(model, plan_for(model, IMAGE), images, labels, 4, confidence=confidence, batch=7)
    assert model.training and found.events == []
    expected = by_loop(model.eval(), images, labels, confidence)
    assert torch.allclose(found.values, expected.float(), rtol=1e-6)
    assert found.counts.tolist() == torch.bincount(labels[probability >= confidence], minlength=4).tolist()
    assert 0 < int(found.counts.sum()) < 40  # the choice matters here


def test_taps_at_readers_inputs_give_the_same_where_nothing_is_between() -> None:
    pytest.importorskip("torch_pruning")
    model = tiny("simcnn")
    mine, traced = plan_for(model, IMAGE), from_torch_pruning(model, IMAGE, "fc_15")
    images, labels = torch.randn(12, *IMAGE), torch.arange(12) % 4
    a = kernel_importance(model, mine, images, labels, 4, confidence=0.0).values
    b = kernel_importance(model, traced, images, labels, 4, confidence=0.0).values
    for index, part in enumerate(mine.slices()):
        if index != 1:  # a pool lies between conv_1 and its reader
            assert torch.allclose(a[:, part], b[:, part], rtol=1e-5)
    assert (a[:, mine.slices()[1]] >= b[:, mine.slices()[1]]).all()


@pytest.mark.parametrize(("name", "pooled"), [("simcnn", 1), ("rescnn", 4)])
def test_after_pool_sums_what_the_next_layer_reads(name: str, pooled: int) -> None:
    model = build({"name": name, "classes": 4, "input_shape": IMAGE, "width": 0.03125, "pools": [pooled]}).eval()
    plan, kernels = plan_for(model, IMAGE), slice(None)
    images, labels = torch.randn(12, *IMAGE), torch.arange(12) % 4
    before, after = (
        kernel_importance(model, plan, images, labels, 4, confidence=0.0, tap=tap).values
        for tap in ("before_pool", "after_pool")
    )
    with torch.no_grad(), capture(model, [f"relu_{pooled}"]) as maps:
        model(images)
    sums = nn.functional.max_pool2d(maps[f"relu_{pooled}"], 2).sum((2, 3))
    for group, part in zip(plan.groups, plan.slices(), strict=True):
        if group.members == (f"conv_{pooled}",):
            kernels = part
            by_class = torch.stack([sums[labels == label].mean(0) for label in range(4)])
            assert torch.allclose(after[:, part], by_class, rtol=1e-5)
        else:  # also of a residual pair, whose sum is what is read
            assert torch.allclose(after[:, part], before[:, part], rtol=1e-5)
    assert bool((after[:, kernels] < 0.95 * before[:, kernels]).any())


class Answers(nn.Module):
    """A network whose answer is written into the image's first pixel."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.relu, self.fc = nn.Conv2d(1, 3, 1), nn.ReLU(), nn.Linear(3, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        maps = self.relu(self.conv(x))
        strength, answer = x[:, 0, 1, 0], x[:, 0, 0, 0].long()
        return nn.functional.one_hot(answer, 3) * strength[:, None] + 0 * self.fc(maps.mean((2, 3)))

    def kernel_groups(self) -> list[dict[str, object]]:
        return [
            {"name": "c", "size": 3, "members": ["conv"], "norms": [], "tap": "relu", "consumers": {"fc": 1}},
        ]


def test_classes_without_confident_images_fall_back_and_say_so() -> None:
    from src.networks.slicing.planning import from_description

    torch.manual_seed(0)
    model = Answers()
    plan = from_description(model, model.kernel_groups(), (1, 2, 2), "")
    images = torch.rand(9, 1, 2, 2)
    labels = torch.arange(9) % 3
    images[:, 0, 0, 0] = labels.float()
    images[:, 0, 1, 0] = 9.0
    images[labels == 1, 0, 1, 0] = 0.5  # right, not confident
    images[1, 0, 0, 0] = 0.0  # and one wrong
    images[labels == 2, 0, 0, 0] = 0.0  # all wrong
    found = kernel_importance(model, plan, images, labels, 3)
    assert found.counts.tolist() == [3, 2, 3]
    assert found.events == [
        "importance: class 1 has no image with confidence >= 0.9; its 2 correctly classified ones were used",
        "importance: class 2 has no image with confidence >= 0.9; its 3 images, all misclassified, were used",
    ]
    strength = model.relu(model.conv(images)).sum((2, 3))
    assert torch.allclose(found.values[1], strength[[4, 7]].mean(0))
    assert torch.allclose(found.values[2], strength[[2, 5, 8]].mean(0))


def test_a_class_without_images_is_an_error() -> None:
    model = tiny("simcnn")
    images = torch.randn(4, *IMAGE)
    plan = plan_for(model, IMAGE)
    with pytest.raises(UserError, match=r"no image of class \[1, 3\]"):
        kernel_importance(model, plan, images, torch.tensor([0, 0, 2, 2]), 4)
    with pytest.raises(UserError, match="labels up to 5"):
        kernel_importance(model, plan, images, torch.tensor([0, 1, 2, 5]), 3)


def test_a_random_order_is_one_for_all_classes() -> None:
    values = torch.rand(3, 40)
    order = importance_order(values, [30, 10], "random", seed=1)
    assert torch.equal(order, order[:1].expand(3, 40)) and sorted(order[0, :30].tolist()) == list(range(30))
    assert torch.equal(order, importance_order(-values, [30, 10], "random", seed=1))
    assert not torch.equal(order, importance_order(values, [30, 10], "random", seed=2))


def test_order_is_stable_within_each_group() -> None:
    values = torch.tensor([[1.0, 3.0, 3.0, 2.0, 0.0, 5.0, 0.0], [0.0, 0.0, 0.0, 0.0, 1.0, 1.0, 2.0]])
    assert importance_order(values, [4, 3]).tolist() == [[1, 2, 3, 0, 5, 4, 6], [0, 1, 2, 3, 6, 4, 5]]
