"""Weights and statistics of what is frozen after a training, to the bit; all else has learned."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from src.core.errors import UserError
from src.training.determinism import prepare, seed_everything
from src.training.fitting import Training, fit
from src.training.freezing import TrainOnly
from src.training.learners.monolithic import Monolithic
from tests.fakes.data import TinyData
from tests.fakes.networks import ARCHITECTURE
from tests.fakes.training import OPTIM


def network() -> Monolithic:
    seed_everything("weights", 0)
    return Monolithic({**ARCHITECTURE, "batch_norm": True}, OPTIM)


def changed(folder: Path, patterns: list[str]) -> set[str]:
    """Names of parameters and statistics that two epochs change."""
    prepare(threads=1, seed=0)
    learner = network()
    before = {name: tensor.clone() for name, tensor in learner.model.state_dict().items()}
    fit(learner, TinyData(), Training(2), folder, seed=0, callbacks=[TrainOnly(learner.model, patterns)])
    after: dict[str, Tensor] = learner.model.state_dict()
    return {name for name, tensor in before.items() if not torch.equal(tensor, after[name])}


STATISTICS = {"norm_0.running_mean", "norm_0.running_var", "norm_0.num_batches_tracked"}


@pytest.mark.parametrize(
    ("patterns", "learned"),
    [
        (["fc_2"], {"fc_2.weight", "fc_2.bias"}),
        (["conv_0"], {"conv_0.weight"}),
        (["*_0"], {"conv_0.weight", "norm_0.weight", "norm_0.bias", *STATISTICS}),
    ],
)
def test_all_else_stays_to_the_bit(patterns: list[str], learned: set[str], tmp_path: Path) -> None:
    assert changed(tmp_path, patterns) == learned & set(network().model.state_dict())


@pytest.mark.parametrize(
    ("patterns", "said"),
    [
        (["conv_0", "fc_9"], r"training.train_only: no layer with weights fits 'fc_9'; did you mean 'fc_2'"),
        (["relu_0"], r"no layer with weights fits 'relu_0'"),
        ([], r"training.train_only=\[\]: nothing would learn; known: .*, or null for all"),
    ],
)
def test_a_pattern_that_fits_nothing_is_refused(patterns: list[str], said: str) -> None:
    with pytest.raises(UserError, match=said):
        TrainOnly(network().model, patterns)


def test_statistics_without_weights_are_frozen_and_dropout_is_not() -> None:
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2, affine=False), nn.Dropout(0.5), nn.Conv2d(2, 2, 3))
    only = TrainOnly(model, ["3"])
    model.train()
    only.on_train_epoch_start(None, None)  # type: ignore[arg-type]
    assert [module.training for module in model] == [False, False, True, True]
    model(torch.rand(4, 1, 8, 8))
    assert torch.equal(model.state_dict()["1.running_mean"], torch.zeros(2))


def test_a_frozen_module_does_not_take_along_those_within_it() -> None:
    class Scaled(nn.Module):
        """Weights of its own, and a part that learns."""

        def __init__(self) -> None:
            super().__init__()
            self.scale = nn.Parameter(torch.ones(1))
            self.norm = nn.BatchNorm2d(2)

    model = nn.ModuleDict({"outer": Scaled()})
    only = TrainOnly(model, ["*norm"])
    model.train()
    only.on_train_epoch_start(None, None)  # type: ignore[arg-type]
    outer = model["outer"]
    assert isinstance(outer, Scaled)
    assert (outer.training, outer.norm.training) == (False, True)
    assert (outer.scale.requires_grad, outer.norm.weight.requires_grad) == (False, True)
