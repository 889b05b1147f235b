"""The learner of modules trains as a plain loop does, and all modules of a tree as each would by itself."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from src.data.epoch_loader import Call
from src.networks.models import build
from src.training.fitting import Training, fit
from src.training.learners.modular import Modular
from src.training.optimisation import rate_of
from tests.fakes.data import TinyData
from tests.fakes.networks import ARCHITECTURE

NETWORK = {**ARCHITECTURE, "dropout": 0.0}
OPTIM = {"name": "adamw", "lr": 0.01, "weight_decay": 0.1, "schedule": {"name": "cosine", "warmup": 0.2}}
BATCH = 10  # 36 images: three batches and one of six


class Observed(Modular):
    """Remembers its calls."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.calls: list[Call] = []

    def training_step(self, call: Call, call_index: int) -> None:
        self.calls.append(call)
        super().training_step(call, call_index)


class Pair(nn.Module):
    """A tree over three classes: red against the others, then green against blue; a trunk where given."""

    TARGETS = torch.tensor([[0, 1, 1], [-1, 0, 1]])

    def __init__(self, root: nn.Module, branch: nn.Module, trunk: nn.Module | None = None) -> None:
        super().__init__()
        self.root, self.branch, self.trunk = root, branch, trunk or nn.Identity()

    def forward(self, images: Tensor) -> Tensor:
        features = self.trunk(images)
        first, second = (part(features).log_softmax(1) for part in (self.root, self.branch))
        return torch.cat([first[:, :1], first[:, 1:] + second], dim=1)


def network(classes: int, seed: int = 0, **options: Any) -> nn.Module:
    torch.manual_seed(seed)
    return build({**NETWORK, "classes": classes, **options})


def trained(folder: Path, learner: Modular, epochs: int = 2, per_call: int = 3) -> list[dict[str, float]]:
    folder.mkdir(exist_ok=True)
    data = TinyData(batch_size=BATCH)
    data.per_call = per_call
    return fit(learner, data, Training(epochs, precision="64-true"), folder, seed=0)


def batches(calls: list[Call]) -> list[tuple[Tensor, Tensor]]:
    cut = [(call, [part.ours for part in call.shares]) for call in calls]
    pairs = [zip(call.images.split(sizes), call.labels.split(sizes), strict=True) for call, sizes in cut]
    return [pair for some in pairs for pair in some]


def assert_same(found: nn.Module, expected: nn.Module) -> None:
    for name, value in found.state_dict().items():
        torch.testing.assert_close(value, expected.state_dict()[name], rtol=1e-9, atol=1e-10)


def test_one_module_learns_and_tells_what_a_plain_loop_does(tmp_path: Path):
    smoothing, clip, epochs = 0.1, 0.5, 2
    learner = Observed(network(3), OPTIM, label_smoothing=smoothing, gradient_clip=clip)
    history = trained(tmp_path, learner, epochs)
    model = network(3).double()
    optimizer = torch.optim.AdamW(model.parameters(), lr=9.0, weight_decay=0.1)
    rate, seen = rate_of(OPTIM, 8), batches(learner.calls)
    assert [len(labels) for _, labels in seen] == [10, 10, 10, 6] * epochs
    held, answers = TinyData(batch_size=BATCH).tensor("validation")
    for epoch, row in enumerate(history):
        right, losses = 0, 0.0
        for step in range(4 * epoch, 4 * epoch + 4):
            images, labels = seen[step]
            optimizer.param_groups[0]["lr"] = rate(step)
            logits = model(images.double())
            loss = nn.functional.cross_entropy(logits, labels, label_smoothing=smoothing)
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), clip)
            optimizer.step()
            right, losses = right + int((logits.argmax(1) == labels).sum()), losses + loss.item() * len(labels)
        assert row["train/accuracy"] == pytest.approx(right / 36)
        assert row["train/loss"] == pytest.approx(losses / 36, rel=1e-5)
        with torch.no_grad():
            logits = model(held.double())
        assert row["val/loss"] == pytest.approx(nn.functional.cross_entropy(logits, answers).item(), rel=1e-5)
        assert row["val/accuracy"] == pytest.approx((logits.argmax(1) == answers).double().mean().item())
    assert_same(learner.model, model)


def test_batches_per_call_do_not_matter(tmp_path: Path):
    found = []
    for per_call in (1, 4):
        learner = Modular(network(3), OPTIM)
        trained(tmp_path / str(per_call), learner, per_call=per_call)
        found.append(learner.model)
    assert_same(*found)


def test_the_loss_of_a_tree_is_that_of_its_soft_composition():
    """Fine-tuning the softly gated network is the modules' own training, on the same batches."""
    pair = Pair(network(2, 0), network(2, 1)).double()
    learner = Modular(pair, OPTIM, parts=[pair.root, pair.branch], targets=Pair.TARGETS).double()
    images = torch.randn(12, 3, 12, 12, dtype=torch.float64)
    labels = torch.arange(12) % 3
    loss, right = learner._pass(images, labels)
    torch.testing.assert_close(loss, nn.functional.nll_loss(pair(images), labels, reduction="sum"))
    first, second = pair.root(images).argmax(1), pair.branch(images).argmax(1)
    expected = (first == (labels > 0)) & ((labels == 0) | (second == labels - 1))
    assert torch.equal(right, expected) and 0 < int(right.sum()) < 12


def test_modules_together_learn_as_each_does_alone(tmp_path: Path):
    """A module's gradient is that of its own images, as a share of the batch; Adam forgets the share."""
    plain = {"name": "sgd", "lr": 0.05}
    pair = Pair(network(2, 0), network(2, 1))
    alone = copy.deepcopy(pair.root).double()
    learner = Observed(pair, plain, parts=[pair.root, pair.branch], targets=Pair.TARGETS)
    history = trained(tmp_path, learner)
    optimizer = torch.optim.SGD(alone.parameters(), lr=0.05)
    for images, labels in batches(learner.calls):
        optimizer.zero_grad()
        nn.functional.cross_entropy(alone(images.double()), Pair.TARGETS[0][labels]).backward()
        optimizer.step()
    assert_same(learner.model.root, alone)
    held, answers = TinyData(batch_size=BATCH).tensor("validation")
    with torch.no_grad():
        expected = (learner.model(held.double()).argmax(1) == answers).double().mean().item()
    assert history[-1]["val/accuracy"] == pytest.approx(expected)


def test_a_shared_trunk_gets_the_gradient_of_all_modules():
    class Head(nn.Linear):
        def forward(self, features: Tensor) -> Tensor:
            return super().forward(features.flatten(1))

    trunk = nn.Conv2d(3, 2, 5).double()
    pair = Pair(Head(128, 2), Head(128, 2), trunk).double()
    learner = Modular(pair, OPTIM, parts=[pair.root, pair.branch], targets=Pair.TARGETS, trunk=pair.trunk)
    images, labels = torch.randn(9, 3, 12, 12, dtype=torch.float64), torch.arange(9) % 3
    learner._pass(images, labels)[0].backward()
    found = trunk.weight.grad.clone()
    trunk.weight.grad = None
    nn.functional.nll_loss(pair(images), labels, reduction="sum").backward()
    torch.testing.assert_close(found, trunk.weight.grad)


def test_a_single_image_below_a_normed_module_is_passed_over():
    pair = Pair(network(2, 0, batch_norm=True), network(2, 1, batch_norm=True))
    learner = Modular(pair, OPTIM, parts=[pair.root, pair.branch], targets=Pair.TARGETS)
    images, labels = torch.randn(4, 3, 12, 12), torch.tensor([0, 0, 0, 2])
    learner._pass(images, labels)[0].backward()
    assert all(value.grad is None for value in pair.branch.parameters())
    assert all(value.grad is not None for value in pair.root.parameters())
