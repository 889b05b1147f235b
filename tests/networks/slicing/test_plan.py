"""Slice plans as data."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from src.core.errors import UserError
from src.networks.slicing import plan_for
from tests.networks.slicing.nets import tiny


def test_the_kernel_axis_of_rescnn() -> None:
    plan = plan_for(tiny("rescnn"), (3, 16, 16))
    assert [group.members for group in plan.groups if len(group.members) > 1] == [
        ("conv_1", "conv_3"),
        ("conv_5", "conv_7"),
        ("conv_9", "conv_11"),
    ]
    assert plan.kernels == sum(plan.sizes) == plan.offsets[-1] == 3136 // 32
    assert int(plan.multiplicity.sum()) == 4288 // 32  # every convolution's kernels
    assert torch.equal(plan.group_index.bincount(), torch.tensor(plan.sizes))
    assert plan.output == "fc_12"
    assert [part.start for part in plan.slices()] == list(plan.offsets[:-1])


def test_equal_maps_are_stored_once() -> None:
    plan = plan_for(tiny("simcnn", batch_norm=True), (3, 16, 16))
    assert len(plan.maps) < len(plan.uses) / 3


def test_a_plan_of_another_network_is_refused() -> None:
    plan = plan_for(tiny("simcnn"), (3, 16, 16))
    with pytest.raises(UserError, match="made for another network"):
        plan.check(tiny("simcnn", width=0.0625))
    with pytest.raises(UserError, match="made for another network"):
        dataclasses.replace(plan, input_shape=(3, 18, 18)).check(tiny("simcnn"))
