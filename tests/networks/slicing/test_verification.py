"""Right plans pass, wrong plans and networks that cannot be cut are caught and named."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import torch
from torch import nn

from src.core.errors import UserError
from src.networks.options import NETWORKS
from src.networks.slicing import SlicePlan, Tap, plan_for, verify
from src.networks.slicing.plan import ALWAYS
from src.networks.slicing.verification import permuted_positions
from tests.networks.slicing import nets
from tests.networks.slicing.nets import SHAPE, UNSLICED, Described, tiny

IMAGE = (3, 16, 16)


@pytest.mark.parametrize("name", [name for name in sorted(NETWORKS) if name not in UNSLICED])
@pytest.mark.parametrize("batch_norm", [False, True])
def test_our_own_networks_pass(name: str, batch_norm: bool) -> None:
    model = tiny(name, batch_norm)
    plan = plan_for(model, IMAGE)
    verify(model, plan)
    if name != "bagnet":  # by its own description, not traced
        assert all(group.tap.side == "output" for group in plan.groups)


def test_verification_changes_nothing() -> None:
    model = tiny("simcnn", batch_norm=True).train()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    state = torch.get_rng_state()
    plan_for(model, IMAGE)
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())
    assert model.training and torch.equal(torch.get_rng_state(), state)


def group(name: str, **change: Any) -> dict[str, object]:
    reader = {"a": {"b": 1}, "b": {"fc": 64}}[name]
    return {
        "name": name,
        "size": 6,
        "members": [name],
        "norms": [],
        "tap": f"relu_{name}",
        "consumers": reader,
    } | change


@pytest.mark.parametrize(
    ("groups", "says"),
    [
        ([group("a", consumers={"b": 1}), group("b", consumers={"fc": 32})], "test S.*does not fit"),
        ([group("a", consumers={}), group("b")], "test S.*group 'a': no layer reads"),
        ([group("a", tap="relu_c"), group("b")], "test S.*no tap 'relu_c'"),
        ([group("a", members=["a", "b"]), group("b")], "test S.*cut twice"),
        ([group("a", members=["a", "b"], consumers={"fc": 64})], "test T1: conv 'a'"),  # b's inputs are forgotten
        ([group("a", consumers={"fc": 64}), group("b", consumers={"b": 1})], "test T1.*conv"),  # readers exchanged
    ],
)
def test_wrong_descriptions_are_caught(groups: list[dict[str, object]], says: str) -> None:
    with pytest.raises(UserError, match=says):
        plan_for(Described(groups), SHAPE)


def test_the_right_description_passes() -> None:
    assert plan_for(Described(), SHAPE).kernels == 12


def changed(plan: SlicePlan, tensor: str, dim: int, positions: torch.Tensor) -> SlicePlan:
    uses = [
        dataclasses.replace(use, map=len(plan.maps)) if (use.tensor, use.dim) == (tensor, dim) else use
        for use in plan.uses
    ]
    return dataclasses.replace(plan, maps=(*plan.maps, positions), uses=tuple(uses))


def test_maps_that_run_and_are_silently_wrong_are_caught() -> None:
    model = tiny("simcnn")
    plan = plan_for(model, IMAGE)
    columns = plan.map_of("conv_5.weight", 1)
    assert columns is not None
    with pytest.raises(UserError, match=r"test T1: conv 'conv_4'"):
        verify(model, changed(plan, "conv_5.weight", 1, columns.flip(0)))
    flat = plan.map_of("fc_13.weight", 1)
    assert flat is not None
    interleaved = flat.view(-1, 64).t().flatten()  # the order of a channels-last flatten
    with pytest.raises(UserError, match=r"test T1: conv 'conv_12'"):
        verify(model, changed(plan, "fc_13.weight", 1, interleaved))


def test_static_mistakes_are_caught() -> None:
    model = tiny("rescnn")
    plan = plan_for(model, IMAGE)
    rows = plan.map_of("conv_3.weight", 0)
    assert rows is not None
    partly = rows.clone()
    partly[0] = ALWAYS
    with pytest.raises(UserError, match=r"conv 'conv_3': its kernels are not those of group"):
        verify(model, changed(plan, "conv_3.weight", 0, partly))
    with pytest.raises(UserError, match="does not fit"):
        verify(model, changed(plan, "conv_3.weight", 0, rows + plan.kernels))
    with pytest.raises(UserError, match="layer 'conv_2': input dim 1 of 4 not mapped"):
        verify(model, changed(plan, "conv_2.weight", 1, partly))
    wrong = dataclasses.replace(plan.groups[0], tap=Tap("fc_12.nothing", "input"))
    with pytest.raises(UserError, match="no tap"):
        verify(model, dataclasses.replace(plan, groups=(wrong, *plan.groups[1:])))
    with pytest.raises(UserError, match="no kernel group"):
        verify(model, dataclasses.replace(plan, groups=(), uses=(), maps=()))


@pytest.mark.parametrize(
    ("kind", "says"),
    [
        (nets.ConcatAfterFlatten, "test [ST]"),
        (nets.ConcatWithImage, "layer 'b': input dim 3 of 19 not mapped"),
        (nets.HardCodedView, "test T2: conv 'a'"),
        (nets.BareScale, "test [ST]"),
        (nets.MeanGate, "test T3: conv 'a'"),
        (nets.Normalised, r"layer 'norm' \(GroupNorm\)"),
        (nets.Grouped, "conv '[ab]'.*2 groups|test S"),
        (nets.Detached, "layer 'b' is not in the traced graph"),
    ],
)
def test_networks_that_cannot_be_cut_are_caught(kind: type[nn.Module], says: str) -> None:
    pytest.importorskip("torch_pruning")
    torch.manual_seed(0)
    with pytest.raises(UserError, match=says) as caught:
        plan_for(kind(), SHAPE)
    assert "\n" not in str(caught.value) and "kernel_groups" in str(caught.value)


def test_permuted_positions_against_a_loop() -> None:
    generator = torch.Generator().manual_seed(0)
    positions = torch.tensor([2, ALWAYS, 0, 1, 2, 0, 1, 4, 3, ALWAYS, 3, 4])
    moved = torch.cat([torch.randperm(3, generator=generator), 3 + torch.randperm(2, generator=generator)])
    expected = list(range(len(positions)))
    for kernel in range(5):
        mine = [p for p, owner in enumerate(positions.tolist()) if owner == kernel]
        theirs = [p for p, owner in enumerate(positions.tolist()) if owner == int(moved[kernel])]
        for p, q in zip(mine, theirs, strict=True):
            expected[p] = q
    assert permuted_positions(positions, moved).tolist() == expected
    with pytest.raises(ValueError, match="different numbers"):
        permuted_positions(torch.tensor([0, 0, 1]), torch.tensor([1, 0]))
