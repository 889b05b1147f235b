"""Plans from Torch-Pruning agree with the hand-written ones, and its failures end in one clear line."""

from __future__ import annotations

import sys
import time
from importlib.util import find_spec
from typing import Any

import pytest
import torch
from torch import nn

from src.core.errors import UserError
from src.networks.models import build
from src.networks.slicing import SlicedNetwork, extract, masked, plan_for, recalibrate, verify
from src.networks.slicing.torch_pruning import from_torch_pruning
from tests.networks.slicing import nets
from tests.networks.slicing.nets import SHAPE, Separable, at_least_one, tiny

needs_extra = pytest.mark.skipif(find_spec("torch_pruning") is None, reason="the extra `plans` is not installed")
IMAGE = (3, 16, 16)


@needs_extra
@pytest.mark.parametrize("name", ["simcnn", "rescnn"])
@pytest.mark.parametrize("batch_norm", [False, True])
def test_hand_written_and_traced_plans_agree(name: str, batch_norm: bool) -> None:
    model = tiny(name, batch_norm)
    mine = plan_for(model, IMAGE)
    traced = from_torch_pruning(model, IMAGE, mine.output)
    verify(model, traced)
    assert [group.members for group in mine.groups] == [group.members for group in traced.groups]
    assert {(use.tensor, use.dim) for use in mine.uses} == {(use.tensor, use.dim) for use in traced.uses}
    for use in mine.uses:
        theirs = traced.map_of(use.tensor, use.dim)
        assert theirs is not None and torch.equal(mine.maps[use.map], theirs)


@needs_extra
def test_resnet18_with_batch_norm() -> None:
    torch.manual_seed(0)
    model = build({"name": "torchvision:resnet18", "classes": 10, "input_shape": [3, 32, 32]}).eval()
    recalibrate(model, torch.randn(8, 3, 32, 32))  # statistics that are not 0 and 1
    plan = plan_for(model, (3, 32, 32))
    assert (len(plan.groups), plan.kernels, plan.output) == (12, 2880, "fc")
    assert int(plan.multiplicity.sum()) == sum(m.out_channels for m in model.modules() if isinstance(m, nn.Conv2d))
    keep = torch.rand(plan.kernels, generator=torch.Generator().manual_seed(0)) < 0.6
    keep = at_least_one(plan, keep)
    images = torch.randn(2, 3, 32, 32)
    with torch.inference_mode():
        with masked(model, plan, keep):
            reference = model(images)
        slim = extract(model, plan, keep)
        assert (slim(images) - reference).abs().max() < 1e-5 * reference.abs().max()


@needs_extra
def test_a_frozen_network_can_be_traced() -> None:
    model = Separable().eval().requires_grad_(False)
    assert plan_for(model, SHAPE).kernels == 20
    assert not any(parameter.requires_grad for parameter in model.parameters())


@needs_extra
@pytest.mark.parametrize(
    ("network", "exclude", "members"),
    [
        (nets.Aliased, [], [("layer1.0",), ("b",), ("c",)]),
        (nets.Bare, [], [("b",)]),
        (nets.Attending, ["b"], [("a",)]),
        (nets.Grouped, ["a", "b"], []),
        (nets.Separable, ["dep*"], [("point",)]),
        (nets.Described, ["a"], [("b",)]),
        (nets.ConcatWithImage, ["*"], []),
    ],
    ids=lambda value: value.__name__ if isinstance(value, type) else "",
)
def test_what_is_cut_of_unusual_networks(network: type[nn.Module], exclude: list[str], members: list[Any]) -> None:
    torch.manual_seed(0)
    model = network().eval()
    model.uncut_layers = tuple(exclude)  # type: ignore[assignment]
    if not members:
        with pytest.raises(UserError, match="the plan has no kernel group"):
            plan_for(model, SHAPE)
        return
    plan = plan_for(model, SHAPE)
    assert [group.members for group in plan.groups] == members
    keep = at_least_one(plan, torch.rand(plan.kernels, generator=torch.Generator().manual_seed(1)) < 0.5)
    images = torch.randn(2, *SHAPE)
    with torch.inference_mode():
        with masked(model, plan, keep):
            reference = model(images)
        slim = extract(model, plan, keep)
        assert torch.allclose(slim(images), reference, atol=1e-5)
        sliced = SlicedNetwork(model, plan)
        assert torch.allclose(sliced(sliced.cut(keep), images), reference, atol=1e-5)
    assert sum(each.numel() for each in slim.parameters()) < sum(each.numel() for each in model.parameters())


@needs_extra
@pytest.mark.parametrize(
    ("network", "says"),
    [
        (nets.Attending, "conv 'b': layer 'encoder.norm1' (LayerNorm) is coupled to its kernels"),
        (nets.Grouped, "conv 'a': position 7 of 4 of layer 'b'"),
        (nets.Normalised, "conv 'a': layer 'norm' (GroupNorm) is coupled to its kernels"),
    ],
    ids=lambda value: value.__name__ if isinstance(value, type) else "",
)
def test_a_refusal_names_the_convolution_that_can_be_excluded(network: type[nn.Module], says: str) -> None:
    with pytest.raises(UserError) as refusal:
        plan_for(network().eval(), SHAPE)
    assert f"test S: {says}" in str(refusal.value)
    assert str(refusal.value).endswith("or keep kernels of convolutions whole by strong.model.exclude=[NAME]")


@needs_extra
def test_the_time_limit_ends_a_tracing_that_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch_pruning

    def endless(*_: object, **__: object) -> None:
        while True:
            time.sleep(0.01)

    monkeypatch.setattr(torch_pruning.DependencyGraph, "build_dependency", endless)
    with pytest.raises(UserError, match=r"did not finish within 0\.1 s"):
        from_torch_pruning(Separable(), SHAPE, "fc", time_limit=0.1)


@needs_extra
def test_errors_of_the_tracing_are_wrapped(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch_pruning

    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("integer modulo by zero")

    monkeypatch.setattr(torch_pruning.DependencyGraph, "build_dependency", broken)
    with pytest.raises(UserError, match=r"cannot trace Separable \(integer modulo by zero.*kernel_groups"):
        from_torch_pruning(Separable(), SHAPE, "fc")


def test_without_the_extra_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch_pruning", None)
    with pytest.raises(UserError, match="extra `plans`"):
        from_torch_pruning(Separable(), SHAPE, "fc")
