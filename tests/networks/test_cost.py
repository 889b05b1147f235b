"""Parameters and multiply-adds."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import pytest
import torch
import torchvision
from torch import Tensor, nn
from torch.nn import functional
from torchvision.models import get_model, get_model_weights, list_models

from src.methods.hierarchy.composed import ComposedNetwork
from src.methods.hierarchy.composition import GATED, RULES, Composition
from src.methods.modularity.patched import Patch, PatchedNetwork
from src.networks.cost import cost
from src.networks.models import build
from src.networks.options import NETWORKS
from src.networks.slicing import extract, plan_for
from src.networks.weights import skeleton
from src.statistics.calibration import Platt
from tests.methods.hierarchy.trees import MIXED


@pytest.mark.parametrize(
    ("name", "parameters", "millions"), [("simcnn", 15_245_130, 313.73), ("rescnn", 16_010_122, 431.17)]
)
def test_the_published_figures(name: str, parameters: int, millions: float) -> None:
    found = cost(build({"name": name, "classes": 10, "input_shape": [3, 32, 32]}), (3, 32, 32))
    assert found.parameters == parameters
    assert round(found.macs / 1e6, 2) == millions


def test_counts_by_hand() -> None:
    model = nn.Sequential(
        nn.Conv2d(3, 8, 3, stride=2, padding=1),  # 8x4x4 values of 27 each
        nn.BatchNorm2d(8),
        nn.Conv2d(8, 8, 3, groups=8),  # 8x2x2 values of 9 each
        nn.ConvTranspose2d(8, 5, 2),  # each of 8x2x2 values meets 5x2x2 weights
        nn.Flatten(),
        nn.Linear(45, 7, bias=False),
    )
    found = cost(model, (3, 8, 8))
    assert found.macs == 128 * 27 + 32 * 9 + 32 * 20 + 45 * 7
    assert found.parameters == sum(parameter.numel() for parameter in model.parameters())


def test_the_model_is_left_alone() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)).double()
    cost(model, (3, 5, 5))
    assert model.training and not model[0]._forward_hooks
    assert torch.equal(model[1].running_mean, torch.zeros(4, dtype=torch.float64))


def macs_of_layers(model: nn.Module, shape: Sequence[int], *, real: bool = False) -> int:
    """What the first version of ``cost`` counted: the convolutions and linear layers that are called as modules."""
    twin, macs = (copy.deepcopy(model) if real else skeleton(model)).eval(), 0

    def count(layer: Any, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        nonlocal macs
        values = inputs[0] if isinstance(layer, nn.modules.conv._ConvTransposeNd) else output
        macs += values.numel() * layer.weight[0].numel()

    for module in twin.modules():
        if isinstance(module, nn.modules.conv._ConvNd | nn.Linear):
            module.register_forward_hook(count)
    with torch.no_grad():
        twin(torch.zeros(1, *shape, device="cpu" if real else "meta"))
    return macs


MORE: dict[str, dict[str, Any]] = {
    "grouped": {"name": "resnet", "groups": 4, "inside": 2.0, "squeeze": 4},
    "bottleneck": {"name": "resnet", "bottleneck": True},
    "rotation": {"name": "spatial_transformer", "freedom": "rotation"},
    "turned": {"name": "ti_pooling", "angles": [0, 30, 90]},
    "skip": {"name": "vgg", "skip": True},
}


@pytest.mark.parametrize("options", [*({"name": name} for name in sorted(NETWORKS)), *MORE.values()], ids=str)
def test_networks_of_layers_cost_what_they_cost_before(options: dict[str, Any]) -> None:
    model = build({**options, "classes": 6, "input_shape": [3, 32, 32], "width": 0.125})
    assert cost(model, (3, 32, 32)).macs == macs_of_layers(model, (3, 32, 32)) > 0


def small(classes: int = 3) -> nn.Module:
    return build({"name": "simcnn_weak", "classes": classes, "input_shape": [3, 16, 16], "width": 0.1, "pools": []})


@pytest.mark.parametrize("rule", RULES)
def test_composed_networks_cost_their_modules(rule: Any) -> None:
    modules = [small(len(node.children)) for node in MIXED.nodes]
    network = ComposedNetwork(MIXED, modules, Composition(rule, m=1, beam=1, route="image"))
    # which modules a gate asks depends on the image, which is black and real then
    assert cost(network, (3, 16, 16)).macs == macs_of_layers(network, (3, 16, 16), real=rule in GATED) > 0


def test_modules_and_patched_networks_cost_what_they_cost_before() -> None:
    model = small()
    plan = plan_for(model, (3, 16, 16))
    keep = torch.ones(plan.kernels, dtype=torch.bool)
    keep[[part.start for part in plan.slices()]] = False
    module = extract(model, plan, keep)
    assert 0 < cost(module, (3, 16, 16)).macs == macs_of_layers(module, (3, 16, 16)) < cost(model, (3, 16, 16)).macs
    patches = [Patch.of(0, 1, module, Platt(1.0, 0.0), "margin")]
    patched = PatchedNetwork(small(), patches, [1.0] * 3, [0.0] * 3, 1.0)
    assert cost(patched, (3, 16, 16)).macs == macs_of_layers(patched, (3, 16, 16)) > 0


class Functional(nn.Module):
    """Nothing in it is called as a module."""

    def __init__(self) -> None:
        super().__init__()
        self.kernels, self.matrix = nn.Parameter(torch.randn(8, 3, 3, 3)), nn.Parameter(torch.randn(4, 8))

    def forward(self, x: Tensor) -> Tensor:
        return functional.conv2d(x, self.kernels).mean((2, 3)) @ self.matrix.T


class Encoder(nn.Module):
    """64 places of 3 channels; ``looking`` makes it compute with values that a pass without memory does not have."""

    def __init__(self, looking: bool) -> None:
        super().__init__()
        self.embed, self.head, self.looking = nn.Linear(3, 16), nn.Linear(16, 4), looking
        self.layer = nn.TransformerEncoderLayer(16, 2, 32, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        places = self.layer(self.embed(x.flatten(2).transpose(1, 2)))
        return self.head(places.mean(1) / (1 + places.abs().max().item() if self.looking else 1))


def test_functional_convolutions_count() -> None:
    assert cost(Functional(), (3, 8, 8)).macs == 8 * 36 * 27 + 4 * 8


@pytest.mark.parametrize("looking", [False, True])
def test_attention_counts(looking: bool) -> None:
    attention = 64 * 16 * 48 + 2 * 64 * 64 * 16 + 64 * 16 * 16
    by_hand = 64 * 3 * 16 + attention + 2 * 64 * 16 * 32 + 16 * 4
    model = Encoder(looking)
    assert cost(model, (3, 8, 8)).macs == by_hand and model.training
    assert torch.backends.mha.get_fastpath_enabled()


def published(name: str) -> tuple[float, float]:
    """Billions of multiply-adds of a network of torchvision as counted, and as its makers state them."""
    weights = next(iter(get_model_weights(name)))  # no file of theirs is needed
    options = {"image_size": weights.meta["min_size"][0]} if name.startswith("vit") else {}
    try:
        with torch.device("meta"):
            model = get_model(name, weights=None, **options)
    except NotImplementedError:  # regnets read values as they are built
        model = get_model(name, weights=None)
    side = weights.transforms().crop_size[0]
    return cost(model, (3, side, side)).macs / 1e9, weights.meta["_ops"]


FEW = ("mobilenet_v2", "resnext50_32x4d", "shufflenet_v2_x0_5", "swin_t", "vit_b_16")


@pytest.mark.parametrize("name", FEW)
def test_as_torchvision_counts(name: str) -> None:
    counted, stated = published(name)
    assert counted == pytest.approx(stated, abs=0.0005001)  # which is stated to a million


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    sorted(set(list_models(module=torchvision.models)) - {*FEW, "regnet_y_128gf"}),  # 645 million parameters
)
def test_as_torchvision_counts_all(name: str) -> None:
    test_as_torchvision_counts(name)
