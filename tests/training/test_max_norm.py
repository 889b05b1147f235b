"""Weights after a step against the norms of each layout, written out."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from src.core.errors import UserError
from src.training.optimisation import build_optimizer


def network() -> nn.Sequential:
    torch.manual_seed(0)
    layers = nn.Sequential(nn.Conv2d(2, 4, 3), nn.BatchNorm2d(4), nn.Conv2d(4, 3, 3, bias=False), nn.Linear(5, 6))
    with torch.no_grad():
        for parameter in layers.parameters():
            parameter.mul_(3).add_(0.2)
    return layers.to(memory_format=torch.channels_last)


def after_a_step(max_norm: dict[str, Any] | None, lr: float = 0.0) -> dict[str, Tensor]:
    layers = network()
    optimizer = build_optimizer({"name": "sgd", "lr": lr, "max_norm": max_norm}, layers)
    for parameter in layers.parameters():
        parameter.grad = torch.ones_like(parameter)
    optimizer.step()
    return dict(layers.state_dict())


def shortened(weight: np.ndarray, value: float, axis: int | tuple[int, ...]) -> np.ndarray:
    norm = np.sqrt((weight**2).sum(axis, keepdims=True))
    return weight * np.clip(norm, 0, value) / norm


def test_filter_bounds_all_inputs_of_a_kernel_or_unit() -> None:
    before, after = network().state_dict(), after_a_step({"value": 1.5, "axis": "filter"})
    for name, axis in (("0.weight", (1, 2, 3)), ("2.weight", (1, 2, 3)), ("3.weight", 1)):
        expected = shortened(before[name].numpy(), 1.5, axis)
        np.testing.assert_allclose(after[name].numpy(), expected, rtol=1e-5)
        assert not np.allclose(expected, before[name].numpy())
    for name in ("0.bias", "1.weight", "1.bias", "3.bias"):
        assert torch.equal(after[name], before[name])


def test_keras_bounds_the_first_axis_of_its_layout() -> None:
    """(kh, kw, in, out) of a convolution, (in, out) of a linear layer, (out,) of a bias."""
    before, after = network().state_dict(), after_a_step({"value": 0.5, "axis": "keras"})
    for name in ("0.weight", "2.weight", "3.weight", "0.bias", "3.bias"):
        weight = before[name].numpy()
        theirs = weight.transpose({4: (2, 3, 1, 0), 2: (1, 0), 1: (0,)}[weight.ndim])
        expected = shortened(theirs, 0.5, 0)
        back = expected.transpose({4: (3, 2, 0, 1), 2: (1, 0), 1: (0,)}[weight.ndim])
        np.testing.assert_allclose(after[name].numpy(), back, rtol=1e-5)
        assert not np.allclose(back, weight)
    assert torch.equal(after["1.weight"], before["1.weight"])


def test_the_bound_holds_after_the_step_and_leaves_what_is_within() -> None:
    free = after_a_step(None, lr=0.1)
    assert not torch.equal(free["0.weight"], network().state_dict()["0.weight"])
    for axis in ("filter", "keras"):
        bounded = after_a_step({"value": 1e3, "axis": axis}, lr=0.1)
        assert all(torch.equal(bounded[name], free[name]) for name in free)
    tight = after_a_step({"value": 0.5, "axis": "filter"}, lr=0.1)
    np.testing.assert_allclose(
        tight["3.weight"].numpy(), shortened(free["3.weight"].numpy(), 0.5, 1), rtol=1e-5
    )  # fmt: skip


@pytest.mark.parametrize(
    ("max_norm", "message"),
    [
        ({"value": 2.0}, r"optim\.max_norm=\{'value': 2\.0\}: give value and axis"),
        ({"value": 0, "axis": "keras"}, r"optim\.max_norm\.value=0: give a number above 0"),
        ({"value": 2.0, "axis": "filters"}, r"optim\.max_norm\.axis=filters: did you mean 'filter'"),
    ],
)
def test_mistakes_are_named(max_norm: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        after_a_step(max_norm)
