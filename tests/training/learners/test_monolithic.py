"""Logged metrics are those of a plain computation, and the schedule steps with the optimiser."""

from __future__ import annotations

import copy
import math
from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from torch import Tensor, nn
from torchmetrics import MeanMetric
from torchmetrics.classification import MulticlassAccuracy

from src.core.seeds import stream
from src.data.augment import crop_and_flip, draw
from src.data.epoch_loader import Call, Share
from src.training.fitting import Training, fit
from src.training.learners.monolithic import Monolithic
from src.training.learners.stepping import Stepping, memory_format_for
from tests.fakes.data import TinyData
from tests.fakes.networks import ARCHITECTURE

STEPS = 3  # of an epoch
PLAIN = {**ARCHITECTURE, "dropout": 0.0}


class Observed(Monolithic):
    """Remembers the batches, and the learning rate and outputs of every step."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.rates: list[float] = []
        self.batches: list[tuple[Tensor, Tensor]] = []
        self.start = copy.deepcopy(self.model)

    def _gradient(self, images: Tensor, labels: Tensor, share: Share) -> tuple[Tensor, Tensor]:
        optimizer = self.optimizers()
        assert not isinstance(optimizer, list)
        self.rates.append(optimizer.param_groups[0]["lr"])
        self.batches.append((images, labels))
        return super()._gradient(images, labels, share)


def trained(tmp_path: Path, optim: dict, epochs: int = 1, **options: Any) -> tuple[Observed, TinyData, list[dict]]:
    pl.seed_everything(0)
    learner, data = Observed(PLAIN, optim, **options), TinyData()
    return learner, data, fit(learner, data, Training(epochs), tmp_path, seed=0)


def test_metrics_are_those_of_a_plain_loop(tmp_path: Path):
    smoothing = 0.2
    learner, data, history = trained(tmp_path, {"name": "sgd", "lr": 0.05, "momentum": 0.9}, 2, label_smoothing=0.2)
    model = learner.start.train()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    images, labels = data.tensor("validation")
    batches = iter(learner.batches)
    for row in history:
        losses, hits, count = 0.0, 0, 0
        for _ in range(STEPS):
            x, y = next(batches)
            logits = model(x)
            loss = nn.functional.cross_entropy(logits, y, label_smoothing=smoothing)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses, hits, count = (
                losses + loss.item() * len(y),
                hits + int((logits.argmax(1) == y).sum()),
                count + len(y),
            )
        assert row["train/loss"] == pytest.approx(losses / count, rel=1e-5)
        assert row["train/accuracy"] == pytest.approx(hits / count)
        logits = model(images).detach()
        assert row["val/loss"] == pytest.approx(nn.functional.cross_entropy(logits, labels).item(), rel=1e-5)
        assert row["val/accuracy"] == pytest.approx((logits.argmax(1) == labels).float().mean().item())
    assert next(batches, None) is None


def test_the_last_smaller_batch_counts_by_its_images():
    learner = Monolithic(PLAIN, {"name": "sgd", "lr": 0.1})
    logged: dict[str, float] = {}
    learner.log_dict = logged.update  # type: ignore[assignment, method-assign]
    generator = torch.Generator().manual_seed(0)
    images = torch.rand(16, *PLAIN["input_shape"], generator=generator)
    labels = torch.arange(16) % 3
    learner.eval()

    def validate(*sizes: int) -> None:
        for part, answers in zip(images.split(list(sizes)), labels.split(list(sizes)), strict=True):
            learner.validation_step(Call(part, answers, [Share(len(part), 0, len(part))]), 0)
        learner.on_validation_epoch_end()

    with torch.no_grad():
        validate(7, 7, 2)
        logits = learner(images)
    assert logged["val/loss"] == pytest.approx(nn.functional.cross_entropy(logits, labels).item(), rel=1e-5)
    assert logged["val/accuracy"] == pytest.approx((logits.argmax(1) == labels).float().mean().item())
    images, labels = images[14:], labels[14:]
    with torch.no_grad():
        validate(2)
    right = (learner(images).argmax(1) == labels).float().mean().item()
    assert logged["val/accuracy"] == pytest.approx(right), "an epoch starts from nothing"


def test_metrics_are_to_the_bit_those_of_torchmetrics():
    """By which epochs were chosen before; a loss that is no number is left out."""
    learner = Monolithic(PLAIN, {"name": "sgd", "lr": 0.1})
    generator = torch.Generator().manual_seed(0)
    logits = 3 * torch.randn(1000, 3, generator=generator)
    labels = torch.arange(1000) % 3
    for broken in (False, True):
        mean, accuracy, passes = MeanMetric(), MulticlassAccuracy(3, average="micro"), []
        logits[500] = float("nan") if broken else 0.0
        for part, answers in zip(logits.split(7), labels.split(7), strict=True):
            loss = nn.functional.cross_entropy(part, answers)
            mean.update(loss, len(answers))
            accuracy.update(part.nan_to_num(), answers)
            passes.append((loss, part.nan_to_num()))
        rows = learner._counted(passes, labels).numpy()
        found = torch.tensor(learner._means(rows))
        assert torch.equal(found, torch.stack([mean.compute(), accuracy.compute()])) and bool(found.isfinite().all())
    assert math.isnan(learner._means(rows[71:72])[0])


def test_augmentation_is_drawn_for_each_step(tmp_path: Path):
    learner, data, _ = trained(tmp_path, {"name": "sgd", "lr": 0.1})
    order = torch.randperm(36, generator=stream(0, "order", 0))
    for step, ((images, labels), rows) in enumerate(zip(learner.batches, order.split(12), strict=True)):
        draws = draw(12, crop_padding=1, flip=True, seed=0, epoch=0, step=step)
        expected = data.normalise(crop_and_flip(data.sets["train"].images[rows], draws, 1))
        assert torch.equal(images, expected) and torch.equal(labels, data.sets["train"].labels[rows])


def test_the_schedule_steps_with_the_optimiser(tmp_path: Path):
    optim = {"name": "sgd", "lr": 0.1, "schedule": {"name": "cosine", "warmup": 0.5}}
    learner, _, _ = trained(tmp_path, optim, epochs=2)
    half = STEPS  # of 2 * STEPS
    expected = [(k + 1) / half for k in range(half)]
    expected += [0.5 + 0.5 * math.cos(math.pi * k / half) for k in range(half)]
    assert learner.rates == pytest.approx([0.1 * factor for factor in expected])


def test_without_a_schedule_the_rate_stays(tmp_path: Path):
    learner, _, _ = trained(tmp_path, {"name": "adam", "lr": 0.01}, epochs=2)
    assert learner.rates and set(learner.rates) == {0.01}


def test_it_answers_with_logits_and_keeps_only_the_model():
    learner = Monolithic(PLAIN, {"name": "sgd", "lr": 0.1}).eval()
    images = torch.rand(2, *PLAIN["input_shape"])
    assert torch.equal(learner(images), learner.model(images)) and learner(images).shape == (2, 3)
    assert all(name.startswith("model.") for name in learner.state_dict())


@pytest.mark.parametrize(
    ("capability", "channels", "expected"),
    [
        ("AVX2", 4, torch.contiguous_format),
        ("AVX2", 8, torch.channels_last),
        ("AVX512", 4, torch.channels_last),
    ],
)
def test_channels_lie_last_but_where_torch_would_overrun_its_memory(capability, channels, expected, monkeypatch):
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: capability)
    network = nn.Sequential(nn.Conv2d(3, channels, 3, padding=1), nn.Conv2d(channels, 16, 1, stride=2))
    assert memory_format_for(network) is expected
    learner = Stepping(network, {}, 0.0, None)
    assert learner.model[1].weight.is_contiguous(memory_format=expected)


def test_a_narrow_strided_convolution_learns_on_this_processor():
    network = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.Conv2d(4, 8, 1, stride=2))
    learner = Stepping(network, {}, 0.0, None)
    for _ in range(3):
        learner(torch.randn(32, 1, 28, 28)).square().sum().backward()
    assert all(parameter.grad.isfinite().all() for parameter in network.parameters())
