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

from src.training.fitting import Training, fit
from src.training.learners.monolithic import Monolithic
from tests.fakes.data import TinyData
from tests.fakes.networks import ARCHITECTURE

PLAIN = {**ARCHITECTURE, "dropout": 0.0}


class Observed(Monolithic):
    """Remembers the batches, and the learning rate and outputs of every step."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.rates: list[float] = []
        self.batches: list[tuple[Tensor, Tensor]] = []
        self.start = copy.deepcopy(self.model)

    def training_step(self, batch: tuple[Tensor, Tensor], batch_index: int) -> Tensor:
        optimizer = self.optimizers()
        assert not isinstance(optimizer, list)
        self.rates.append(optimizer.param_groups[0]["lr"])
        self.batches.append(batch)
        return super().training_step(batch, batch_index)


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
        for _ in range(len(data.train_dataloader())):
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
    logged: dict[str, Tensor] = {}
    learner.log_dict = logged.update  # type: ignore[assignment, method-assign]
    generator = torch.Generator().manual_seed(0)
    parts = [(torch.rand(n, *PLAIN["input_shape"], generator=generator), torch.arange(n) % 3) for n in (7, 7, 2)]
    learner.eval()
    with torch.no_grad():
        for index, part in enumerate(parts):
            learner.validation_step(part, index)
        learner.on_validation_epoch_end()
        logits = learner(torch.cat([images for images, _ in parts]))
    labels = torch.cat([labels for _, labels in parts])
    assert logged["val/loss"].item() == pytest.approx(nn.functional.cross_entropy(logits, labels).item(), rel=1e-5)
    assert logged["val/accuracy"].item() == pytest.approx((logits.argmax(1) == labels).float().mean().item())
    with torch.no_grad():
        learner.validation_step(parts[2], 0)
        learner.on_validation_epoch_end()
    right = (learner(parts[2][0]).argmax(1) == parts[2][1]).float().mean().item()
    assert logged["val/accuracy"].item() == pytest.approx(right), "an epoch starts from nothing"


def test_the_schedule_steps_with_the_optimiser(tmp_path: Path):
    optim = {"name": "sgd", "lr": 0.1, "schedule": {"name": "cosine", "warmup": 0.5}}
    learner, data, _ = trained(tmp_path, optim, epochs=2)
    steps = len(data.train_dataloader())
    assert steps > 1
    half = steps  # of 2 * steps
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
