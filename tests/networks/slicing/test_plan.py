"""Slice plans as data."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from src.core.errors import UserError
from src.networks.slicing import SlicePlan, at_least_one, plan_for
from tests.networks.slicing.nets import tiny


@pytest.mark.parametrize("name", ["simcnn", "rescnn"])
@pytest.mark.parametrize("batch_norm", [False, True])
def test_json_round_trip(name: str, batch_norm: bool) -> None:
    plan = plan_for(tiny(name, batch_norm), (3, 16, 16))
    copy = SlicePlan.from_json(plan.to_json())
    assert copy.groups == plan.groups and copy.uses == plan.uses and copy.digest == plan.digest
    assert all(torch.equal(mine, theirs) for mine, theirs in zip(copy.maps, plan.maps, strict=True))
    copy.check(tiny(name, batch_norm))


@pytest.mark.parametrize("text", ["", "{}", '{"groups": 3}', "[1, 2]"])
def test_damaged_json_is_named(text: str) -> None:
    with pytest.raises(UserError, match="damaged JSON"):
        SlicePlan.from_json(text)


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


@given(st.data())
def test_at_least_one_fills_empty_groups_with_the_first_in_order(data: st.DataObject) -> None:
    plan = plan_for(tiny("rescnn"), (3, 16, 16))
    seed = data.draw(st.integers(0, 10_000))
    generator = torch.Generator().manual_seed(seed)
    keep = torch.rand(3, plan.kernels, generator=generator) < data.draw(st.sampled_from([0.0, 0.1, 0.5, 1.0]))
    parts = [part.start + torch.randperm(part.stop - part.start, generator=generator) for part in plan.slices()]
    order = torch.cat(parts)
    filled = at_least_one(plan, keep, order)
    for part in plan.slices():
        for row, before in zip(filled[:, part], keep[:, part], strict=True):
            if before.any():
                assert torch.equal(row, before)
            else:
                assert row.nonzero().flatten().tolist() == [int(order[part][0]) - part.start]
    assert torch.equal(at_least_one(plan, keep[0], order), filled[0])
