"""Cutting equals masking at the readers' inputs, for sliced calls and for extracted networks alike."""

from __future__ import annotations

import copy
import pickle

import pytest
import torch
from torch import nn

from src.core.errors import UserError
from src.networks.cost import cost
from src.networks.options import NETWORKS
from src.networks.slicing import SlicedNetwork, extract, masked, plan_for, slice_tensors
from src.networks.slicing.network import tensors_of
from tests.networks.slicing.nets import SHAPE, UNSLICED, Separable, at_least_one, tiny

IMAGE = (3, 16, 16)


def random_keep(kernels: int, seed: int = 0, share: float = 0.6) -> torch.Tensor:
    return torch.rand(kernels, generator=torch.Generator().manual_seed(seed)) < share


def hooks(model: nn.Module) -> int:
    return sum(len(module._forward_hooks) + len(module._forward_pre_hooks) for module in model.modules())


@pytest.mark.parametrize(
    "name", [name for name in sorted(NETWORKS) if not name.endswith("poor_fit") and name not in UNSLICED]
)
@pytest.mark.parametrize("batch_norm", [False, True])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.float64, 1e-12)])
def test_masked_equals_sliced_equals_extracted(
    name: str, batch_norm: bool, dtype: torch.dtype, tolerance: float
) -> None:
    model = tiny(name, batch_norm, width=0.0625).to(dtype)
    plan = plan_for(model, IMAGE)
    keep = at_least_one(plan, random_keep(plan.kernels))
    images = torch.randn(5, *IMAGE, dtype=dtype)
    with torch.inference_mode():
        with masked(model, plan, keep):
            reference = model(images)
        network = SlicedNetwork(model, plan)
        sliced = network(network.cut(keep), images)
        extracted = extract(model, plan, keep)(images)
    assert not torch.allclose(reference, model(images))
    assert (sliced - reference).abs().max() <= tolerance * reference.abs().max()
    assert torch.equal(sliced, extracted)


def test_extraction_gives_a_stand_alone_network() -> None:
    model = tiny("rescnn", batch_norm=True)
    before = {name: tensor.clone() for name, tensor in tensors_of(model).items()}
    plan = plan_for(model, IMAGE)
    keep = at_least_one(plan, random_keep(plan.kernels, share=0.5))
    slim = extract(model, plan, keep)
    counts = [int(keep[part].sum()) for part in plan.slices()]
    assert slim.conv_0.out_channels == slim.norm_0.num_features == counts[0]
    assert slim.conv_1.in_channels == counts[0]
    assert slim.conv_1.out_channels == slim.conv_3.out_channels == counts[1]
    assert slim.fc_12.in_features == slim.fc_12.weight.shape[1]
    assert slim.fc_12.out_features == 4
    assert f"Conv2d(3, {counts[0]}," in str(slim)
    assert cost(slim, IMAGE).macs < cost(model, IMAGE).macs
    images = torch.randn(2, *IMAGE)
    expected = slim(images)
    assert torch.equal(pickle.loads(pickle.dumps(slim))(images), expected)
    with torch.no_grad():
        for tensor in tensors_of(slim).values():
            tensor.zero_()
    assert all(torch.equal(before[name], tensor) for name, tensor in tensors_of(model).items())
    slim.train()(images).sum().backward()
    again = plan_for(slim, IMAGE)  # a slim network can itself be cut
    assert list(again.sizes) == counts


def test_extraction_keeps_mode_and_frozen_weights() -> None:
    model = tiny("simcnn").train()
    model.conv_0.weight.requires_grad_(False)
    plan = plan_for(model, IMAGE)
    slim = extract(model, plan, torch.ones(plan.kernels, dtype=torch.bool))
    assert slim.training and not slim.conv_0.weight.requires_grad and slim.conv_1.weight.requires_grad


def test_only_the_asked_rows_of_the_output_layer() -> None:
    model = tiny("simcnn")
    plan = plan_for(model, IMAGE)
    network = SlicedNetwork(model, plan)
    keep = at_least_one(plan, random_keep(plan.kernels))
    images = torch.randn(3, *IMAGE)
    whole = network(network.cut(keep), images)
    assert torch.allclose(network(network.cut(keep, [2, 0]), images), whole[:, [2, 0]], atol=1e-6)


def test_kernels_that_cannot_be_kept_so_are_named() -> None:
    model = tiny("rescnn")
    plan = plan_for(model, IMAGE)
    keep = torch.ones(plan.kernels, dtype=torch.bool)
    keep[plan.slices()[1]] = False
    with pytest.raises(UserError, match=r"no kernel of 'conv_1\+conv_3'"):
        slice_tensors(plan, tensors_of(model), keep)
    with pytest.raises(UserError, match="shape"):
        slice_tensors(plan, tensors_of(model), keep[:-1])
    with pytest.raises(UserError, match=r"torch\.int64"):
        extract(model, plan, keep.long())


def test_masks_are_removed_also_after_an_error() -> None:
    model = tiny("simcnn")
    plan = plan_for(model, IMAGE)
    keep = torch.ones(plan.kernels, dtype=torch.bool)
    with masked(model, plan, keep):
        assert hooks(model) == len(plan.readers)
    assert hooks(model) == 0
    with pytest.raises(ZeroDivisionError), masked(model, plan, keep):
        raise ZeroDivisionError
    assert hooks(model) == 0


def test_depthwise_convolutions() -> None:
    pytest.importorskip("torch_pruning")
    torch.manual_seed(0)
    model = Separable().eval()
    plan = plan_for(model, SHAPE)
    assert plan.groups[0].members == ("a", "depth")
    keep = random_keep(plan.kernels)
    images = torch.randn(3, *SHAPE)
    network = SlicedNetwork(model, plan)
    with masked(model, plan, keep):
        reference = model(images)
    slim = extract(model, plan, keep)
    assert torch.allclose(network(network.cut(keep), images), reference, atol=1e-6)
    assert torch.allclose(slim(images), reference, atol=1e-6)
    assert slim.depth.groups == slim.depth.in_channels == slim.a.out_channels == int(keep[:8].sum())
    assert model.depth.groups == 8
    assert torch.equal(copy.deepcopy(slim)(images), slim(images))
