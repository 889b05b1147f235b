"""Learning rates at exact steps, and names that do not exist."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import LambdaLR

from src.core.errors import UserError
from src.training.optimisation import OPTIMIZERS, build_optimizer, cycle_ends, rate_of, sgdr


def rates(schedule: dict | None, steps: int, count: int | None = None) -> list[float]:
    """The learning rate that each of the steps is made with, from 1."""
    rate = rate_of({"lr": 1.0, "schedule": schedule}, steps)
    return [rate(step) for step in range(steps if count is None else count)]


@pytest.mark.parametrize("schedule", [None, {"name": "constant"}])
def test_constant(schedule):
    assert rates(schedule, 5) == [1.0] * 5


def test_cosine_rises_in_a_line_and_falls_to_zero():
    found = rates({"name": "cosine", "warmup": 0.2}, steps=20, count=21)
    assert found[:4] == pytest.approx([0.25, 0.5, 0.75, 1.0])
    assert found[4:] == pytest.approx([0.5 + 0.5 * math.cos(math.pi * k / 16) for k in range(17)])
    assert found[12] == pytest.approx(0.5) and found[20] == pytest.approx(0.0)


def test_cosine_without_warmup_and_of_one_step():
    assert rates({"name": "cosine", "warmup": 0}, steps=5)[:3] == pytest.approx(
        [1.0, 1.0, 0.5 + 0.5 * math.cos(math.pi / 4)]
    )
    assert rates({"name": "cosine", "warmup": 0.1}, steps=1) == [1.0]
    assert rates({"name": "cosine", "warmup": 1.0}, steps=4) == pytest.approx([0.25, 0.5, 0.75, 1.0])


def test_milestones_are_fractions_of_the_training():
    found = rates({"name": "milestones", "at": [0.3, 0.6], "factor": 0.1}, steps=10)
    assert found == pytest.approx([1.0] * 3 + [0.1] * 3 + [0.01] * 4)


@pytest.mark.parametrize(
    "schedule",
    [None, {"name": "cosine", "warmup": 0.2}, {"name": "milestones", "at": [0.3], "factor": 0.1}],
)
def test_the_rate_of_a_step_is_to_the_bit_what_torchs_schedule_gives(schedule):
    optim = {"name": "sgd", "lr": 0.3, "schedule": schedule}
    rate, factor = rate_of(optim, 10), rate_of({**optim, "lr": 1.0}, 10)
    optimizer = build_optimizer(optim, nn.Linear(1, 1))
    scheduler = LambdaLR(optimizer, factor)
    for step in range(10):
        assert rate(step) == optimizer.param_groups[0]["lr"]
        optimizer.step()
        scheduler.step()


def test_without_a_rate_it_is_torchs():
    for name in OPTIMIZERS:
        optimizer = build_optimizer({"name": name}, nn.Linear(1, 1))
        assert rate_of({"name": name}, 5)(3) == optimizer.param_groups[0]["lr"]


def test_sgdr_as_a_schedule():
    schedule = {"name": "sgdr", "first": 1, "factor": 2, "lowest": 0.01}
    optim = {"name": "sgd", "lr": 0.5, "schedule": schedule}
    expected = [sgdr(step, 4, 3, 0.5, 1, 2, 0.01) for step in range(12)]
    rate = rate_of(optim, 12, 4, 3)
    assert [rate(step) for step in range(12)] == pytest.approx(expected, rel=1e-14)
    for key, value in (("first", 0), ("factor", 1.5)):
        with pytest.raises(UserError, match=rf"^optim\.schedule\.{key}={value} is no whole number from 1"):
            rate_of({"lr": 0.5, "schedule": {**schedule, key: value}}, 12, 4, 3)


@pytest.mark.parametrize(
    "schedule", [{"name": "cosin", "warmup": 0.1}, {"name": "cosine"}, {"name": "milestones", "at": [0.5]}, {"at": []}]
)
def test_a_schedule_that_is_not_whole_is_refused(schedule):
    with pytest.raises(UserError, match=r"^optim\.schedule=.* shows constant, cosine, milestones, sgdr whole$"):
        rates(schedule, 3)


@pytest.mark.parametrize(
    ("name", "kind"), [("sgd", torch.optim.SGD), ("adam", torch.optim.Adam), ("adamw", torch.optim.AdamW)]
)
def test_optimisers_take_their_options(name, kind):
    model = nn.Linear(2, 3)
    optim = {"name": name, "lr": 0.25, "weight_decay": 0.125, "schedule": {"name": "constant"}}
    optimizer = build_optimizer(optim, model)
    assert type(optimizer) is kind
    (group,) = optimizer.param_groups
    assert (group["lr"], group["weight_decay"]) == (0.25, 0.125)
    assert [id(p) for p in group["params"]] == [id(p) for p in model.parameters()]


def test_names_and_options_that_do_not_exist():
    with pytest.raises(UserError) as error:
        build_optimizer({"name": "adamww", "lr": 0.1}, nn.Linear(1, 1))
    assert str(error.value) == "optim.name=adamww is not an optimiser; did you mean 'adamw'?"
    with pytest.raises(UserError, match=r"^optim: adamw does not take .*'momentum'.*; mend that key of conf/optim$"):
        build_optimizer({"name": "adamw", "lr": 0.1, "momentum": 0.9}, nn.Linear(1, 1))
    with pytest.raises(UserError, match=r"^optim: sgd does not take .*Invalid learning rate"):
        build_optimizer({"name": "sgd", "lr": -1.0}, nn.Linear(1, 1))


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


STEPS, WHOLE = 391, 390  # of 50,000 images in batches of 128


def rate(epoch: int, batch: int) -> float:
    """At the ``batch``-th step of an epoch, from 1."""
    return sgdr(epoch * STEPS + batch - 1, STEPS, WHOLE, 0.01)


def cosine(phase: float) -> float:
    return 0.00001 + 0.5 * 0.00999 * (1 + math.cos(math.pi * phase))


@pytest.mark.parametrize(
    ("epoch", "batch", "phase"),
    [
        (0, 1, 1 / 3900),
        (0, 390, 390 / 3900),
        (0, 391, 391 / 3900),  # past the epoch's end by one batch
        (1, 1, 391 / 3900),  # so the same again
        (9, 391, 3901 / 3900),
        (10, 1, 3901 / 3900),  # the cycle is advanced after the step's rate is known
        (10, 2, 2 / 7800),
        (30, 1, 7801 / 7800),
        (30, 2, 2 / 15600),
        (70, 1, 15601 / 15600),
        (70, 2, 2 / 31200),
        (149, 391, 31201 / 31200),
    ],
)
def test_published_rates(epoch: int, batch: int, phase: float):
    assert rate(epoch, batch) == pytest.approx(cosine(phase), rel=1e-12, abs=0)


def test_the_rates_in_numbers():
    assert rate(0, 1) == pytest.approx(9.9999984e-3, rel=1e-8)
    assert rate(5, 1) == pytest.approx(5.003e-3, rel=1e-3)
    assert rate(10, 1) == pytest.approx(1.0000e-5, rel=1e-3)  # "the first step of a restart epoch still has 1e-5"
    assert rate(10, 2) == pytest.approx(0.01, rel=1e-6)


def test_cycles_end():
    assert cycle_ends(150) == [9, 29, 69, 149]
    assert cycle_ends(149) == [9, 29, 69]
    assert cycle_ends(5) == []
    assert cycle_ends(4, 1, 1) == [0, 1, 2, 3]


def test_fewer_images_than_a_batch():
    assert sgdr(0, 1, 0, 1.0, first=2, lowest=0.0) == pytest.approx(0.5)
