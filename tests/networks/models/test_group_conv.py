"""p4 convolutions against the definition of the group's correlation, and the network's exact symmetry."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from src.core.errors import UserError
from src.networks.cost import Cost, cost
from src.networks.models import build
from src.networks.models.group_conv import OrientationMax, P4Convolution, P4Lifting, P4Norm
from tests.networks.models.presets import architecture


def network(shape: list[int], seed: int = 0, dtype: torch.dtype = torch.float64, **options: Any) -> nn.Module:
    torch.manual_seed(seed)
    model = build(architecture("p4_conv", shape, classes=3, **{"width": 0.125, **options}))
    with torch.no_grad():
        for name, tensor in [*model.named_parameters(), *model.named_buffers()]:
            if name.endswith(("bias", "running_mean")):
                tensor.normal_(0.0, 0.3)
            elif name.endswith("running_var") or "norm.weight" in name:
                tensor.uniform_(0.5, 1.5)
    return model.to(dtype).eval()


def turned(row: int, column: int, turn: int) -> tuple[int, int]:
    """A place relative to the centre after quarter turns counterclockwise: right goes to up, up to left."""
    for _ in range(turn):
        row, column = -column, row
    return row, column


def correlation(x: Tensor, layer: P4Lifting | P4Convolution) -> Tensor:
    """[f * psi](u, r) = sum over places p and orientations s of f(u + p, s) psi(r^-1 p, s - r), entry by entry."""
    orientations = 1 if isinstance(layer, P4Lifting) else 4
    count, channels, height, width = x.shape
    f = x.view(count, channels // orientations, orientations, height, width)
    psi = layer.weight.detach().unflatten(1, (-1, orientations))
    out = torch.zeros(count, psi.shape[0], 4, height, width, dtype=x.dtype)
    assert layer.bias is not None
    out += layer.bias.detach()[:, None, None, None]
    for r, s, dy, dx in itertools.product(range(4), range(orientations), (-1, 0, 1), (-1, 0, 1)):
        py, px = turned(dy, dx, 4 - r)
        kernel = psi[:, :, (s - r) % orientations, py + 1, px + 1]
        for y, z in itertools.product(range(height), range(width)):
            if 0 <= y + dy < height and 0 <= z + dx < width:
                out[:, :, r, y, z] += f[:, :, s, y + dy, z + dx] @ kernel.T
    return out.flatten(1, 2)


@pytest.mark.parametrize(("kind", "channels"), [(P4Lifting, 2), (P4Convolution, 8)])
def test_layers_compute_the_correlation_on_the_group(kind: type[nn.Module], channels: int) -> None:
    torch.manual_seed(0)
    layer = kind(2, 3).double()
    x = torch.randn(2, channels, 4, 5, dtype=torch.float64)
    assert isinstance(layer, P4Lifting | P4Convolution)
    assert torch.allclose(layer(x), correlation(x, layer), atol=1e-12)


@pytest.mark.parametrize("train", [False, True])
def test_norm_is_shared_by_the_orientations(train: bool) -> None:
    torch.manual_seed(0)
    layer = P4Norm(3).train(train)
    x = torch.randn(5, 12, 4, 6) * 2 + 1
    split = x.view(5, 3, 4, 4, 6)
    mean, var = split.mean((0, 2, 3, 4), keepdim=True), split.var((0, 2, 3, 4), keepdim=True, unbiased=False)
    expected = (split - mean) / (var + layer.eps).sqrt() if train else split / (1 + layer.eps) ** 0.5
    assert torch.allclose(layer(x), expected.view_as(x), atol=1e-5)
    assert layer.num_features == 3


@pytest.mark.parametrize("batch_norm", [False, True])
@pytest.mark.parametrize("train", [False, True])
@pytest.mark.parametrize(
    ("shape", "pooled"), [([1, 28, 28], 2), ([3, 32, 32], 2), ([2, 6, 6], 1), ([1, 7, 7], 0), ([1, 9, 9], 0)]
)
def test_maps_turn_with_the_image_and_what_follows_stays(
    shape: list[int], pooled: int, batch_norm: bool, train: bool
) -> None:
    model = network(shape, batch_norm=batch_norm).train(train)
    assert sum(isinstance(module, nn.MaxPool2d) for module in model.modules()) == pooled
    images = torch.randn(3, *shape, dtype=torch.float64)
    for turn in range(1, 4):
        x, y = images, torch.rot90(images, turn, (2, 3))
        for name, module in model.named_children():
            x, y = module(x), module(y)
            if x.dim() == 2:
                expected = x
            elif name == "gp":
                expected = torch.rot90(x, turn, (2, 3))
            else:
                maps = x.unflatten(1, (-1, 4))
                expected = torch.rot90(maps.roll(turn, 2), turn, (3, 4)).flatten(1, 2)
            assert torch.allclose(y, expected, rtol=1e-12, atol=1e-12), name
            assert bool(x.any()), name


@torch.no_grad()
@pytest.mark.parametrize("shape", [[1, 28, 28], [3, 32, 32]])
def test_logits_stay_in_single_precision(shape: list[int]) -> None:
    model = network(shape, dtype=torch.float32, width=0.5)
    images = torch.randn(4, *shape)
    logits = model(images)
    for turn in range(1, 4):
        assert float((model(torch.rot90(images, turn, (2, 3))) - logits).abs().max() / logits.abs().max()) < 2e-6
    plain = build(architecture("simple_conv", shape, classes=3, width=0.25))
    assert float((plain(torch.rot90(images, 1, (2, 3))) - plain(images)).abs().max()) > 1e-3


def test_the_symmetry_outlasts_training() -> None:
    model = network([1, 8, 8], kernels=[16, 16, 32])
    model.train()
    optimiser = torch.optim.SGD(model.parameters(), 0.1)
    images, labels = torch.randn(12, 1, 8, 8, dtype=torch.float64), torch.arange(12) % 3
    before = [parameter.clone() for parameter in model.parameters()]
    for _ in range(4):
        optimiser.zero_grad()
        nn.functional.cross_entropy(model(images), labels).backward()
        optimiser.step()
    changed = [not torch.equal(old, new) for old, new in zip(before, model.parameters(), strict=True)]
    assert all(changed)
    assert torch.allclose(model(torch.rot90(images, 1, (2, 3))), model(images), atol=1e-12)


def test_equal_orientations_share_the_gradient() -> None:
    x = torch.tensor([1.0, 3.0, 3.0, 0.0]).view(1, 4, 1, 1).requires_grad_()
    OrientationMax()(x).sum().backward()
    assert x.grad is not None and x.grad.flatten().tolist() == [0, 0.5, 0.5, 0]


def test_size_and_cost() -> None:
    """Four times the multiply-adds per kernel and input kernel of a plain convolution, and once more for each turn."""
    with torch.device("meta"):
        model = build(architecture("p4_conv", [1, 28, 28], classes=10, batch_norm=False))
    layers = [(1, 16, 28), (16 * 4, 16, 28), (16 * 4, 32, 14), (32 * 4, 32, 14), (32 * 4, 64, 7)]
    parameters = sum(inputs * kernels * 9 + kernels for inputs, kernels, _ in layers) + 64 * 10 + 10
    macs = sum(inputs * kernels * 4 * 9 * side * side for inputs, kernels, side in layers) + 64 * 10
    assert cost(model, [1, 28, 28]) == Cost(parameters, macs)


def test_dropout_and_names() -> None:
    model = build(architecture("p4_conv", [1, 16, 16], dropout={"pools": [0.1, 0.0], "flatten": 0.5}))
    names = "c1 c1norm c1act c2 c2norm c2act mp1 mp1drop c3 c3norm c3act c4 c4norm c4act mp2 c5 c5norm c5act"
    assert [name for name, _ in model.named_children()] == [*names.split(), "gp", "ap", "fc1drop", "fc1"]


def test_equal_seeds_give_equal_networks() -> None:
    images = torch.randn(2, 1, 8, 8, dtype=torch.float64)
    one, other = (network([1, 8, 8], seed=3)(images) for _ in range(2))
    assert torch.equal(one, other) and not torch.equal(one, network([1, 8, 8], seed=4)(images))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"input_shape": [1, 28, 30]}, "give square images"),
        ({"input_shape": [1, 7, 7], "pools": [1]}, r"model\.pools=\[1\]: .*convolution 1 has 7 rows.*pools=\[\]"),
        ({"pools": [0, 1, 2]}, r"model\.pools=\[0, 1, 2\]: .*convolution 2 has 7 rows.*take pools=\[0, 1\]"),
        ({"pools": [5]}, "numbered 0 to 4"),
        ({"kernels": []}, r"model\.kernels=\[\]"),
        ({"kernels": [4, 0]}, r"model\.kernels=\[4, 0\]"),
        ({"dropout": 2.0}, r"model\.dropout=2\.0"),
    ],
)
def test_mistakes_end_in_one_line(change: dict[str, Any], says: str) -> None:
    with pytest.raises(UserError, match=says) as caught:
        build(architecture("p4_conv", [1, 28, 28]) | change)
    assert "\n" not in str(caught.value)
