"""SimCNN and ResCNN against the published figures: kernels, parameters, shapes, initialisation."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from src.core.errors import UserError
from src.networks.models import build
from src.networks.weights import skeleton

CIFAR: dict[str, Any] = {"classes": 10, "input_shape": [3, 32, 32]}


def convolutions(model: nn.Module) -> list[nn.Conv2d]:
    return [module for module in model.modules() if isinstance(module, nn.Conv2d)]


def linears(model: nn.Module) -> list[tuple[int, int]]:
    return [(m.in_features, m.out_features) for m in model.modules() if isinstance(m, nn.Linear)]


@pytest.mark.parametrize("name", ["simcnn", "simcnn_poor_fit"])
def test_simcnn_is_the_published_network(name: str) -> None:
    model = build({"name": name, **CIFAR})
    found = convolutions(model)
    assert [conv.out_channels for conv in found] == [64, 64, 128, 128] + [256] * 3 + [512] * 6
    assert sum(conv.out_channels for conv in found) == 4224
    assert sum(conv.weight.numel() for conv in found) == 14_710_464  # the reference's 14.7 M
    assert linears(model) == [(512, 512), (512, 512), (512, 10)]
    assert sum(p.numel() for p in model.parameters()) == 15_245_130
    rates = [module.p for module in model.modules() if isinstance(module, nn.Dropout)]
    assert rates == ([0.5, 0.5] if name == "simcnn" else [])


@pytest.mark.parametrize("name", ["rescnn", "rescnn_poor_fit"])
def test_rescnn_is_the_published_network(name: str) -> None:
    model = build({"name": name, **CIFAR})
    found = convolutions(model)
    assert [conv.out_channels for conv in found] == [64, 128, 128, 128, 256] + [512] * 7
    assert sum(conv.out_channels for conv in found) == 4288
    assert linears(model) == [(512, 10)]
    assert sum(p.numel() for p in model.parameters()) == 16_010_122
    rates = [module.p for module in model.modules() if isinstance(module, nn.Dropout)]
    assert rates == ([0.4] if name == "rescnn" else [])


@pytest.mark.parametrize(
    ("name", "kernels", "side", "columns"),
    [
        ("simcnn_weak", [64] * 4, 3, 256),
        ("rescnn_weak", [64] * 4, 3, 4096),
        ("simcnn_svhn_weak", [8, 8], 5, 200),
        ("rescnn_svhn_weak", [8] * 3, 5, 512),
    ],
)
def test_weak_networks_are_the_published_ones(name: str, kernels: list[int], side: int, columns: int) -> None:
    model = build({"name": name, **CIFAR})
    assert [conv.out_channels for conv in convolutions(model)] == kernels
    assert {conv.kernel_size for conv in convolutions(model)} == {(side, side)}
    assert linears(model) == [(columns, 10)]


def test_simcnn_equals_the_network_written_out() -> None:
    model = build({"name": "simcnn", **CIFAR, "width": 0.125}).eval()
    found = convolutions(model)
    x = images = torch.randn(2, 3, 32, 32)
    for index, conv in enumerate(found):
        x = torch.relu(nn.functional.conv2d(x, conv.weight, conv.bias, padding=1))
        if index in (1, 3, 6, 9, 12):
            x = nn.functional.max_pool2d(x, 2)
    fc = [module for module in model.modules() if isinstance(module, nn.Linear)]
    x = fc[2](torch.relu(fc[1](torch.relu(fc[0](x.flatten(1))))))
    assert torch.equal(model(images), x)


def test_rescnn_equals_the_network_written_out() -> None:
    model = build({"name": "rescnn", **CIFAR, "width": 0.0625}).eval()
    images = torch.randn(2, 3, 32, 32)
    found = convolutions(model)

    def block(index: int, x: torch.Tensor) -> torch.Tensor:
        return torch.relu(found[index](x))

    def halved(x: torch.Tensor) -> torch.Tensor:
        return nn.functional.max_pool2d(x, 2)

    r = halved(block(1, block(0, images)))
    x = block(3, block(2, r)) + r
    r = halved(block(5, halved(block(4, x))))
    x = block(7, block(6, r)) + r
    r = halved(block(9, halved(block(8, x))))
    x = block(11, block(10, r)) + r
    (fc,) = [module for module in model.modules() if isinstance(module, nn.Linear)]
    assert torch.equal(model(images), fc(x.flatten(1)))


def test_initialisation() -> None:
    torch.manual_seed(0)
    conv = convolutions(build({"name": "simcnn", **CIFAR}))[7]
    assert conv.weight.std().item() == pytest.approx((2 / (9 * 512)) ** 0.5, rel=0.01)
    assert conv.bias is not None and not conv.bias.any()
    plain = convolutions(build({"name": "rescnn", **CIFAR}))[7]
    assert plain.bias is not None and plain.bias.abs().max() > 0  # torch's own


@pytest.mark.parametrize(("width", "first", "hidden"), [(0.25, 16, 128), (0.001, 1, 1), (1.5, 96, 768)])
def test_width_scales_kernels_and_hidden_layers(width: float, first: int, hidden: int) -> None:
    model = build({"name": "simcnn", **CIFAR, "width": width})
    assert convolutions(model)[0].out_channels == first
    assert [out for _, out in linears(model)] == [hidden, hidden, 10]


@pytest.mark.parametrize(
    ("name", "shape", "pools", "columns"),
    [
        ("simcnn", [3, 32, 32], None, 64),
        ("simcnn", [3, 64, 64], None, 256),
        ("simcnn", [1, 33, 70], None, 128),
        ("simcnn", [3, 16, 16], [1, 3, 6, 9], 64),
        ("simcnn", [1, 8, 8], [1, 3, 6], 64),
        ("simcnn", [1, 8, 8], [], 4096),
        ("rescnn", [3, 16, 16], [1, 4, 8], 256),
    ],
)
def test_input_sizes(name: str, shape: list[int], pools: list[int] | None, columns: int) -> None:
    model = build({"name": name, "classes": 3, "input_shape": shape, "width": 0.125, "pools": pools})
    assert linears(model)[0][0] == columns
    assert model(torch.randn(2, *shape)).shape == (2, 3)


def test_the_published_pools_given_as_an_option_change_nothing() -> None:
    for name, pools in (("simcnn", [1, 3, 6, 9, 12]), ("rescnn", [1, 4, 5, 8, 9]), ("rescnn_svhn_weak", [0, 2])):
        assert str(build({"name": name, **CIFAR, "pools": pools})) == str(build({"name": name, **CIFAR}))


@pytest.mark.parametrize(("name", "index"), [("rescnn", 2), ("rescnn", 6), ("rescnn_weak", 1)])
def test_no_pool_between_a_map_and_the_sum_it_enters(name: str, index: int) -> None:
    with pytest.raises(UserError, match=f"{index} lies within a residual pair"):
        build({"name": name, **CIFAR, "pools": [index]})


def test_batch_norm_takes_the_place_of_the_bias() -> None:
    model = build({"name": "rescnn", **CIFAR, "width": 0.125, "batch_norm": True})
    assert all(conv.bias is None for conv in convolutions(model))
    order = [name.split("_")[0] for name, _ in model.named_children()][:3]
    assert order == ["conv", "norm", "relu"]


def test_kernel_groups_of_rescnn_are_the_residual_pairs() -> None:
    model = build({"name": "rescnn", **CIFAR})
    groups = model.kernel_groups()  # type: ignore[operator]
    assert [len(group["members"]) for group in groups] == [1, 2, 1, 1, 2, 1, 1, 2, 1]
    assert [group["members"] for group in groups if len(group["members"]) == 2] == [
        ["conv_1", "conv_3"],
        ["conv_5", "conv_7"],
        ["conv_9", "conv_11"],
    ]
    assert sum(group["size"] * len(group["members"]) for group in groups) == 4288


def test_a_skeleton_has_shapes_and_no_weights() -> None:
    model = build({"name": "rescnn", **CIFAR, "width": 0.125, "batch_norm": True})
    bare = skeleton(model)
    assert {tensor.device.type for tensor in bare.state_dict().values()} == {"meta"}
    assert {tensor.device.type for tensor in model.state_dict().values()} == {"cpu"}
    assert [tuple(t.shape) for t in bare.state_dict().values()] == [tuple(t.shape) for t in model.state_dict().values()]
