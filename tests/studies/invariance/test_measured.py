"""The untrained twin of a network."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from src.artifacts.network import untrained_like
from src.networks.slicing import extract, plan_for
from src.networks.subjects import Subject, kept_of
from tests.fakes.networks import SHAPE, subject
from tests.fakes.study import FakeSession
from tests.studies.invariance.given import measured_images


def first_weight(own: Subject) -> Tensor:
    return own.model.state_dict()["conv_0.weight"]


def test_the_untrained_twin_of_a_module_is_of_its_size() -> None:
    own = subject(0)
    plan = plan_for(own.model, SHAPE)
    keep = torch.arange(plan.kernels) % 2 == 0
    module = replace(own, model=extract(own.model, plan, keep).eval(), kept=kept_of(keep, plan.offsets))
    twin = untrained_like(module, measured_images(), 0, FakeSession())
    assert twin is not None
    shapes = [[tuple(tensor.shape) for tensor in each.model.state_dict().values()] for each in (module, twin)]
    assert shapes[0] == shapes[1]
    assert not torch.equal(first_weight(twin), first_weight(module))


def test_the_same_seed_gives_the_same_untrained_network() -> None:
    one, same, other = (untrained_like(subject(), measured_images(), seed, FakeSession()) for seed in (0, 0, 1))
    assert one and same and other
    weights = [first_weight(each) for each in (one, same, other)]
    assert torch.equal(weights[0], weights[1]) and not torch.equal(weights[0], weights[2])
