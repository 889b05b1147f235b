"""Captured activations and batched prediction."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from src.core.errors import UserError
from src.networks.activations import capture, predict


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Dropout(), nn.Flatten(), nn.Linear(4 * 36, 5)
    )


def hooks(model: nn.Module) -> int:
    return sum(len(module._forward_hooks) + len(module._forward_pre_hooks) for module in model.modules())


def test_outputs_and_inputs_of_named_modules() -> None:
    model = network().eval()
    images = torch.randn(2, 3, 8, 8)
    with capture(model, ["0", "2"]) as outputs, capture(model, ["5"], "input") as inputs:
        logits = model(images)
    assert set(outputs) == {"0", "2"} and set(inputs) == {"5"}
    assert torch.equal(outputs["2"], model[1](outputs["0"]).relu())
    assert torch.equal(model[5](inputs["5"]), logits)


def test_reduction_happens_before_later_steps_in_place() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(inplace=True)).eval()
    images = torch.randn(2, 3, 8, 8)
    with torch.inference_mode(), capture(model, ["0"], reduce=Tensor.amin) as found:
        model(images)
    assert found["0"] < 0


@pytest.mark.parametrize("side", ["output", "input"])
def test_hooks_are_removed_also_after_an_error(side: str) -> None:
    model = network()
    with capture(model, ["0", "5"], side):  # type: ignore[arg-type]
        assert hooks(model) == 2
    assert hooks(model) == 0
    with pytest.raises(RuntimeError), capture(model, ["0", "5"], side):  # type: ignore[arg-type]
        model(torch.randn(2, 7, 8, 8))
    assert hooks(model) == 0


def test_an_unknown_module_is_named_and_leaves_no_hook() -> None:
    model = network()
    with pytest.raises(UserError, match="module 'conv'"), capture(model, ["0", "conv"]):
        pass
    assert hooks(model) == 0


@pytest.mark.parametrize("count", [0, 1, 5, 8])
def test_prediction_in_batches_is_that_of_one_batch(count: int) -> None:
    model = network()
    model[3].eval()
    images = torch.randn(count, 3, 8, 8)
    logits = predict(model, images, batch=4)
    assert [module.training for module in model] == [True, True, True, False, True, True]
    assert logits.shape == (count, 5) and not logits.requires_grad
    assert torch.allclose(logits, model.eval()(images), atol=1e-6)


def test_modes_are_restored_after_an_error() -> None:
    model = network()
    with pytest.raises(RuntimeError):
        predict(model, torch.randn(2, 7, 8, 8))
    assert all(module.training for module in model.modules())
