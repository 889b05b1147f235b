from types import SimpleNamespace

import pytest
import torch

from src.artifacts import memory_plan
from src.artifacts.memory_plan import Passes, fitted_to_memory
from src.artifacts.options import MemoryOptions
from src.core.errors import UserError
from src.training.fitting import Training, VariantTraining
from tests.fakes.artifacts import artifacts
from tests.fakes.study import FakeSession

NETWORK = {"name": "vgg", "classes": 10, "input_shape": [3, 32, 32]}
MEMORY = {"budget_gb": "auto", "allow": ["bf16", "recompute", "micro_batches"]}


@pytest.fixture
def fitted(monkeypatch):
    """Fits VGG-D at batch 128 into a budget, on a machine that adds nothing to any training."""
    monkeypatch.setattr(memory_plan, "_constant", lambda device, artifacts: 0)

    def fit(training, **how):
        session = FakeSession()
        plan = fitted_to_memory(
            NETWORK, SimpleNamespace(batch_size=128, channels_last=True), training, MemoryOptions(**{**MEMORY, **how}),
            device=torch.device("cpu"), artifacts=artifacts(session),
        )  # fmt: skip
        return (*plan, session.events)

    return fit


def test_what_fits_is_left_as_it_is(fitted):
    training = VariantTraining(1)
    assert fitted(training, budget_gb=64) == (training, Passes(), [])


def test_the_least_is_taken_in_order_and_told(fitted):
    training, passes, events = fitted(VariantTraining(1), budget_gb=0.4)
    assert training.precision == "bf16-mixed" and passes == Passes() and len(events) == 1
    training, passes, events = fitted(VariantTraining(1), budget_gb=0.4, allow=["recompute"])
    assert training.precision == "32-true" and passes == Passes(recompute=True)
    assert "recomputed" in events[0]


def test_batches_are_split_only_in_ghost_batches(fitted):
    with pytest.raises(UserError, match=r"training\.ghost_batch"):
        fitted(VariantTraining(1), budget_gb=0.4, allow=["micro_batches"])
    _, passes, events = fitted(VariantTraining(1, ghost_batch=16), budget_gb=0.4, allow=["micro_batches"])
    assert passes.micro_batch % 16 == 0 and 128 % passes.micro_batch == 0 and "split" in events[0]


def test_a_network_trained_as_a_whole_has_no_plan(fitted):
    training = Training(1)
    assert fitted(training, budget_gb=0.001) == (training, Passes(), [])
