"""A training ends where Keras' rule says, and at the same epoch however often it was killed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from src.core.errors import UserError
from src.core.options import options_of
from src.training.checkpoints import RESUME
from src.training.determinism import prepare, seed_everything
from src.training.early_stopping import EarlyStopping, LossStopping
from src.training.fitting import Training, fit
from src.training.learners.monolithic import Monolithic
from src.training.learners.stepping import Stepping
from src.training.learners.width_variant import WidthVariant
from tests.fakes.data import TinyData
from tests.fakes.networks import ARCHITECTURE
from tests.fakes.training import OPTIM, RESTARTS

NEVER_BETTER = EarlyStopping(2, 100.0)  # the first epoch is the best: ends with the third


def train(folder: Path, early_stopping: EarlyStopping | None, learner: str = "monolithic", **options: Any) -> list:
    folder.mkdir(exist_ok=True)
    prepare(threads=1, seed=0)
    seed_everything("weights", 0)
    data = TinyData()
    data.per_call = 2
    network: Stepping = Monolithic(ARCHITECTURE, OPTIM)
    if learner == "variant":
        network = WidthVariant({**ARCHITECTURE, "batch_norm": True}, RESTARTS, 12, 4, 8)
    training = Training(6, keep_every=1, early_stopping=early_stopping)
    return fit(network, data, training, folder, seed=0, **options)


def left_in(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.glob("[!.]*")}


@pytest.mark.parametrize("learner", ["monolithic", "variant"])
def test_it_ends_early_with_all_its_files(learner: str, tmp_path: Path) -> None:
    whole = train(tmp_path / "whole", None, learner)
    told: list[dict[str, float]] = []
    history = train(tmp_path / "early", NEVER_BETTER, learner, on_epoch=told.append)
    assert len(whole) == 6 and history == told == whole[:3], "nor is an epoch marked"
    files = left_in(tmp_path / "early")
    assert set(files) == {"best.safetensors", "last.safetensors", "history.json"} | {
        f"epoch_{epoch:04d}.safetensors" for epoch in range(3)
    }
    assert files["last.safetensors"] == files["epoch_0002.safetensors"]
    assert json.loads(files["history.json"]) == history


@pytest.mark.parametrize("epochs", [1, 2, 3])
def test_a_killed_training_ends_at_the_same_epoch(epochs: int, tmp_path: Path) -> None:
    """Killed where the second and the third epoch begin, and between the last one and the end."""
    train(tmp_path / "unbroken", NEVER_BETTER)
    folder = tmp_path / "killed"

    def killed(metrics: dict[str, float]) -> None:
        if metrics["epoch"] == epochs - 1:
            raise RuntimeError("killed")

    with pytest.raises(RuntimeError, match="killed"):
        train(folder, NEVER_BETTER, on_epoch=killed)
    assert torch.load(folder / RESUME, weights_only=True)["epoch"] == epochs - 1
    assert len(train(folder, NEVER_BETTER)) == 3
    assert left_in(folder) == left_in(tmp_path / "unbroken")


def keras_ends_at(losses: list[float], patience: int, min_delta: float) -> int | None:
    best, wait = float("inf"), 0
    for epoch, loss in enumerate(losses):
        if loss + min_delta < best:
            best, wait = loss, 0
        else:
            wait += 1
            if wait >= patience:
                return epoch
    return None


@pytest.mark.parametrize(
    ("losses", "patience", "min_delta", "ends"),
    [
        ([1.0, 0.9, 0.95, 0.93, 0.91, 0.5], 3, 0.01, 4),
        ([1.0, 0.995, 0.985, 0.98, 0.976, 0.9755], 3, 0.01, 5),  # 0.985 counts, being 0.015 below
        ([1.0, 0.995, 0.992, 0.991, 0.5], 3, 0.01, 3),
        ([1.0, float("nan"), float("inf"), 0.5, 0.6], 3, 0.0, None),
        ([float("nan")] * 4, 3, 0.0, 2),
        ([1.0, 1.0], 1, 0.0, 1),
    ],
)
def test_the_rule_is_keras(losses: list[float], patience: int, min_delta: float, ends: int | None) -> None:
    assert keras_ends_at(losses, patience, min_delta) == ends
    rule = LossStopping(EarlyStopping(patience, min_delta))
    stops = [rule._evaluate_stopping_criteria(torch.tensor(loss, dtype=torch.float64))[0] for loss in losses]
    assert (stops.index(True) if True in stops else None) == ends


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"patience": 3}, r"^r\.training\.early_stopping\.min_delta: missing; allowed is a number from 0"),
        ({"patience": 0, "min_delta": 0.0}, r"early_stopping\.patience=0: allowed is a whole number from 1"),
        ({"patience": 3, "min_delta": -1}, r"early_stopping\.min_delta=-1: allowed is a number from 0"),
        ({"patience": 3, "min_delta": 0, "mode": 1}, r"early_stopping\.mode is not a setting"),
    ],
)
def test_mistakes_are_named(values: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message) as error:
        options_of(Training, {"epochs": 1, "early_stopping": values}, "r.training")
    assert "\n" not in str(error.value)
