"""Candidate evaluation: right answers, equal bits for any number of workers, nothing computed twice."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from src.core.errors import UserError
from src.methods.modularity.evaluation import Evaluator, OneByOne
from src.networks.activations import predict
from src.networks.slicing import SlicedNetwork, SlicePlan, extract, masked, plan_for, recalibrate
from tests.networks.slicing.nets import SHAPE, Separable, at_least_one, tiny

IMAGE = (3, 16, 16)
CASES = [(name, batch_norm) for name in ("simcnn", "rescnn") for batch_norm in (False, True)]


def evaluator_of(model: nn.Module, plan: SlicePlan, images: torch.Tensor, **options: Any) -> Evaluator:
    memory = options.get("memory")
    judge = OneByOne(model, plan, images, **options)
    return Evaluator(judge) if memory is None else Evaluator(judge, memory)


def candidates(plan: SlicePlan, count: int = 4, share: float = 0.6) -> torch.Tensor:
    keep = torch.rand(count, plan.kernels, generator=torch.Generator().manual_seed(2)) < share
    return at_least_one(plan, keep)


def one_layer_each(plan: SlicePlan) -> torch.Tensor:
    """For every group a candidate that loses kernels of this group only."""
    keep = torch.ones(len(plan.groups), plan.kernels, dtype=torch.bool)
    for row, part in enumerate(plan.slices()):
        keep[row, part.start + 1 : part.stop] = False
    return keep


@pytest.mark.parametrize(("name", "batch_norm"), CASES)
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.float64, 1e-6)])
def test_logits_are_those_of_the_extracted_network(
    name: str, batch_norm: bool, dtype: torch.dtype, tolerance: float
) -> None:
    model = tiny(name, batch_norm).to(dtype)
    plan = plan_for(model, IMAGE)
    images, calibration = torch.randn(20, *IMAGE, dtype=dtype), torch.randn(12, *IMAGE, dtype=dtype)
    evaluator = evaluator_of(model, plan, images, batch=8, calibration_images=calibration)
    for keep in torch.cat([candidates(plan, 2), one_layer_each(plan)[::3]]):
        slim = extract(model, plan, keep)
        recalibrate(slim, calibration, batch=8)
        expected = predict(slim, images, batch=8).float()
        scale = expected.abs().max()
        found = evaluator.logits(keep[None], 3)
        assert found.dtype == torch.float32
        assert (found[0] - expected[:, 3]).abs().max() <= tolerance * scale
        assert (evaluator.all_logits(keep) - expected).abs().max() <= tolerance * scale


@pytest.mark.parametrize("name", ["simcnn", "rescnn"])
def test_in_float64_they_equal_the_masked_network(name: str) -> None:
    model = tiny(name).double()
    plan = plan_for(model, IMAGE)
    images = torch.randn(9, *IMAGE, dtype=torch.float64)
    evaluator = evaluator_of(model, plan, images, batch=4)
    for keep in candidates(plan, 3):
        with torch.inference_mode(), masked(model, plan, keep):
            reference = model(images)
        runner = SlicedNetwork(model, plan)
        found = runner(runner.cut(keep), images)
        assert (found - reference).abs().max() <= 1e-12 * reference.abs().max()
        assert torch.allclose(evaluator.all_logits(keep), reference.float(), rtol=1e-6)


@pytest.mark.parametrize(("name", "batch_norm"), CASES)
def test_any_number_of_workers_gives_the_same_bits(name: str, batch_norm: bool) -> None:
    model = tiny(name, batch_norm, width=0.0625)
    plan = plan_for(model, IMAGE)
    images = torch.randn(30, *IMAGE)
    keep = torch.cat([candidates(plan, 5), one_layer_each(plan)])
    threads = torch.get_num_threads()
    answers = [
        evaluator_of(model, plan, images, batch=16, workers=workers, calibration_images=images[:10]).logits(keep, 1)
        for workers in (1, 2, 5)
    ]
    assert torch.equal(answers[0], answers[1]) and torch.equal(answers[0], answers[2])
    assert torch.get_num_threads() == threads


@pytest.mark.parametrize(("name", "batch_norm"), CASES)
@pytest.mark.parametrize("kind", ["layer", "population"])
def test_sharing_changes_no_bit_and_saves_steps(
    name: str, batch_norm: bool, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = tiny(name, batch_norm)
    plan = plan_for(model, IMAGE)
    images = torch.randn(12, *IMAGE)
    keep = one_layer_each(plan) if kind == "layer" else with_common_beginnings(plan)
    steps = [0]

    class Counting(SlicedNetwork):
        def run(self, weights: Any, state: Any, start: int = 0, stop: int | None = None) -> Any:
            steps[0] += (len(model.steps) if stop is None else stop) - start
            return super().run(weights, state, start, stop)

    def answers(memory: int) -> tuple[torch.Tensor, int]:
        steps[0] = 0
        calibration = images if batch_norm else None
        judge = OneByOne(
            model, plan, images, runner=Counting(model, plan), batch=8, calibration_images=calibration, memory=memory
        )
        return torch.cat([judge.judged(part, [[0]] * len(part)) for part in keep.split(6)]), steps[0]

    shared, few = answers(1 << 22)
    alone, many = answers(1)
    assert torch.equal(shared, alone)
    assert few < 0.9 * many


def with_common_beginnings(plan: SlicePlan) -> torch.Tensor:
    """Twelve candidates as breeding leaves them: three heads, each with four tails from another layer on."""
    keep = candidates(plan, 12)
    for row in range(12):
        stop = plan.offsets[(2, 4, 6)[row // 4] % len(plan.groups)]
        keep[row, :stop] = keep[row // 4 * 4, :stop]
    return keep


def test_duplicates_and_known_candidates_are_not_computed_again() -> None:
    model = tiny("simcnn")
    plan = plan_for(model, IMAGE)
    evaluator = evaluator_of(model, plan, torch.randn(6, *IMAGE))
    keep = candidates(plan, 3)
    asked = keep[[0, 1, 0, 2, 1]]
    first = evaluator.logits(asked, 0)
    assert evaluator.evaluated == 3
    assert torch.equal(first[0], first[2]) and torch.equal(first[1], first[4]) and not torch.equal(first[0], first[1])
    assert torch.equal(evaluator.logits(keep.flip(0), 0), first[[3, 1, 0]])
    assert evaluator.evaluated == 3
    evaluator.logits(keep[:1], 1)  # another class is another answer
    assert evaluator.evaluated == 4


def test_memory_is_bounded_and_forgets_the_oldest() -> None:
    model = tiny("simcnn")
    plan = plan_for(model, IMAGE)
    entry = 6 * 4 + -(-plan.kernels // 8) + 200
    evaluator = evaluator_of(model, plan, torch.randn(6, *IMAGE), memory=2 * entry)
    keep = candidates(plan, 3)
    answers = evaluator.logits(keep, 0)
    assert len(evaluator._memo) == 2
    assert torch.equal(evaluator.logits(keep[1:], 0), answers[1:]) and evaluator.evaluated == 3
    assert torch.equal(evaluator.logits(keep[:1], 0), answers[:1]) and evaluator.evaluated == 4


def test_images_in_any_layout_and_the_model_are_left_alone() -> None:
    model = tiny("rescnn", batch_norm=True).train()
    plan = plan_for(model, IMAGE)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    images = torch.randn(6, *IMAGE)
    evaluator = evaluator_of(model, plan, images, calibration_images=images)
    evaluator.logits(candidates(plan, 2), 0)
    assert model.training
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())


def test_batch_norm_needs_calibration_images() -> None:
    model = tiny("simcnn", batch_norm=True)
    plan = plan_for(model, IMAGE)
    with pytest.raises(UserError, match="calibration_images"):
        evaluator_of(model, plan, torch.randn(4, *IMAGE))


def test_networks_of_others_are_judged_too() -> None:
    pytest.importorskip("torch_pruning")
    torch.manual_seed(0)
    model = Separable()
    plan = plan_for(model, SHAPE)
    images = torch.randn(10, *SHAPE)
    keep = candidates(plan, 3)
    found = evaluator_of(model, plan, images, workers=2, calibration_images=images).logits(keep, 2)
    for row, kept in zip(found, keep, strict=True):
        slim = extract(model, plan, kept)
        recalibrate(slim, images)
        assert torch.allclose(row, predict(slim, images)[:, 2], atol=1e-5)


class ConvolutionLast(nn.Module):
    """No linear layer gives the answer."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.relu, self.b = nn.Conv2d(3, 6, 3), nn.ReLU(), nn.Conv2d(6, 4, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.b(self.relu(self.a(x))).mean((2, 3))

    def kernel_groups(self) -> list[dict[str, object]]:
        return [{"name": "a", "size": 6, "members": ["a"], "norms": [], "tap": "relu", "consumers": {"b": 1}}]


def test_without_an_output_layer_the_column_is_still_right() -> None:
    model = ConvolutionLast()
    plan = plan_for(model, SHAPE)
    images = torch.randn(5, *SHAPE)
    evaluator = evaluator_of(model, plan, images)
    keep = candidates(plan, 2)
    for column in range(4):
        assert torch.allclose(evaluator.logits(keep, column)[1], evaluator.all_logits(keep[1])[:, column])
