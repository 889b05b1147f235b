"""Learning rates at exact steps, and names that do not exist."""

import math

import pytest
import torch
from torch import nn
from torch.optim.lr_scheduler import LambdaLR

from src.core.errors import UserError
from src.training.optimisation import OPTIMIZERS, build_optimizer, rate_of
from src.training.sgdr import sgdr


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
