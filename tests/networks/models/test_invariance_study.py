"""The four networks of the study of invariances: published sizes, recorded activations, values, options, mistakes."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.models import resnet as torchvision_resnet

from src.core.errors import UserError
from src.networks.models import build
from src.networks.weights import skeleton
from tests.networks.models.presets import architecture

GREY, COLOUR = [1, 28, 28], [3, 32, 32]
PRESETS = ["simple_conv", "all_convolutional", "vgg_like", "resnet18"]


def network(preset: str, shape: list[int], **options: Any) -> nn.Module:
    with torch.device("meta"):
        return build(architecture(preset, shape, **options))


def small(preset: str, shape: list[int] = COLOUR, seed: int = 0, **options: Any) -> nn.Module:
    """With running statistics and biases that show where they are left out."""
    torch.manual_seed(seed)
    model = build(architecture(preset, shape, classes=4, **{"width": 0.125, **options}))
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
                assert module.running_mean is not None and module.running_var is not None
                module.running_mean.normal_(0.0, 0.3)
                module.running_var.uniform_(0.5, 1.5)
                module.weight.uniform_(0.5, 1.5)
                module.bias.normal_(0.0, 0.3)
    return model.eval()


@pytest.mark.parametrize(
    ("preset", "shape", "parameters"),
    [
        ("simple_conv", GREY, 540_970),
        ("simple_conv_cifar10", COLOUR, 2_653_898),
        ("simple_conv_antialiased", GREY, 540_970),
        ("all_convolutional", GREY, 38_986),
        ("all_convolutional_cifar10", COLOUR, 611_722),
        ("vgg_like", GREY, 303_226),
        ("vgg_like_cifar10", COLOUR, 4_953_034),
        ("resnet18", GREY, 11_172_810),
        ("resnet34", COLOUR, 21_282_122),
        ("resnet50", COLOUR, 23_520_842),
    ],
)
def test_presets_have_the_published_sizes(preset: str, shape: list[int], parameters: int) -> None:
    assert sum(p.numel() for p in network(preset, shape).parameters()) == parameters


def recorded(model: nn.Module, shape: list[int]) -> dict[str, torch.Size]:
    """Shapes of the activations that the study records: of two around a batch norm it records one."""
    found: dict[str, torch.Size] = {}
    twin = skeleton(model).eval()
    for name, module in twin.named_modules():
        if not list(module.children()) and not name.endswith(("norm", "conv")):
            module.register_forward_hook(_into(found, name))
    twin(torch.empty(1, *shape, device="meta"))
    return found


def _into(found: dict[str, torch.Size], name: str) -> Any:
    def keep(_: nn.Module, __: Any, output: Tensor) -> None:
        found[name] = output.shape[1:]

    return keep


SIMPLE = "c1 c1act c2 c2act mp1 c3 c3act c4 c4act mp2 c5 c5act fc1 fc1act fc2"
ALL = " ".join(f"c{i} c{i}act" for i in range(8)) + " cc ccact ap"
VGG = " ".join(f"c{i}_0 c{i}_0act c{i}_1 c{i}_1act mp{i}" for i in range(4)) + " fc1 fc1act fc2"


def residual(blocks: list[int], path: str) -> str:
    names = [f"l{i + 1}.b{j}.{name}" for i, n in enumerate(blocks) for j in range(n) for name in path.split()]
    return " ".join(["c0 c0act", *names, "avgp fc0"])


BASIC, BOTTLENECK = "c0 c0act c1 short sum act", "c0 c0act c1 c1act c2 short sum act"


@pytest.mark.parametrize(
    ("preset", "shape", "names", "activations", "units", "values"),
    [
        ("simple_conv", GREY, SIMPLE, 16, 884, (173, 1000)),
        ("simple_conv_cifar10", COLOUR, SIMPLE, 16, 1748, (451, 1000)),
        ("all_convolutional", GREY, ALL, 20, 456, (95, 1000)),
        ("all_convolutional_cifar10", COLOUR, ALL, 20, 1704, (486, 1000)),
        ("vgg_like", GREY, VGG, 24, 1348, (98, 1000)),
        ("vgg_like_cifar10", COLOUR, VGG, 24, 5076, (523, 1000)),
        ("resnet18", GREY, residual([2, 2, 2, 2], BASIC), 53, 12_180, (125, 10_000)),
        ("resnet50", COLOUR, residual([3, 4, 6, 3], BOTTLENECK), 133, 77_716, (949, 10_000)),
    ],
)
def test_modules_are_the_recorded_activations(
    preset: str, shape: list[int], names: str, activations: int, units: int, values: tuple[int, int]
) -> None:
    """But for the log-softmax of the study's networks, which comes last and has ten units more."""
    as_released = {"padded_1x1": True, "relu_logits": True} if preset.startswith("all") else {}
    found = recorded(network(preset, shape, **as_released), shape)
    assert list(found) == names.split() and len(found) == activations - 1
    assert sum(size[0] for size in found.values()) + 10 == units
    rounded, to = values
    assert round((sum(size.numel() for size in found.values()) + 10) / to) == rounded


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("batch_norm", [False, True])
def test_no_module_is_left_out_or_works_in_place(preset: str, batch_norm: bool) -> None:
    model = small(preset, batch_norm=batch_norm)
    computed: list[str] = []
    kept: list[tuple[Tensor, Tensor]] = []
    leaves = [name for name, module in model.named_modules() if not list(module.children())]

    def hook(name: str) -> Any:
        def keep(_: nn.Module, __: Any, output: Tensor) -> None:
            computed.append(name)
            kept.append((output, output.clone()))

        return keep

    for name in leaves:
        model.get_submodule(name).register_forward_hook(hook(name))
    model(torch.randn(2, *COLOUR))
    assert sorted(computed) == sorted(leaves)
    assert all(torch.equal(output, copy) for output, copy in kept)


def norm(x: Tensor, state: dict[str, Tensor], name: str) -> Tensor:
    mean, var, weight, bias = (state[f"{name}.{key}"] for key in ("running_mean", "running_var", "weight", "bias"))
    return F.batch_norm(x, mean, var, weight, bias)


def conv(x: Tensor, state: dict[str, Tensor], name: str, **how: int) -> Tensor:
    return F.conv2d(x, state[f"{name}.weight"], state.get(f"{name}.bias"), **how)


@pytest.mark.parametrize("shape", [GREY, COLOUR, [3, 28, 28], [1, 32, 32], [2, 21, 35]])
def test_simple_conv_equals_the_network_written_out(shape: list[int]) -> None:
    model, images = small("simple_conv", shape), torch.randn(3, *shape)
    state, x = model.state_dict(), images
    for number in range(1, 6):
        x = conv(x, state, f"c{number}", padding=1).relu()
        if number in (2, 4):
            x = F.max_pool2d(x, 2)
    x = (x.flatten(1) @ state["fc1.weight"].T + state["fc1.bias"]).relu()
    assert torch.allclose(model(images), x @ state["fc2.weight"].T + state["fc2.bias"], atol=1e-5)


@pytest.mark.parametrize("padded", [False, True])
@pytest.mark.parametrize("relu", [False, True])
def test_all_convolutional_equals_the_network_written_out(padded: bool, relu: bool) -> None:
    model, images = small("all_convolutional", padded_1x1=padded, relu_logits=relu), torch.randn(3, *COLOUR)
    state, x = model.state_dict(), images
    for i in range(8):
        x = conv(x, state, f"c{i}conv", stride=2 if i in (2, 5) else 1, padding=int(padded) if i == 7 else 1)
        x = norm(x, state, f"c{i}").relu()
    assert x.shape[2:] == ((10, 10) if padded else (8, 8))
    x = conv(x, state, "cc")
    assert torch.allclose(model(images), (x.relu() if relu else x).mean((2, 3)), atol=1e-5)


@pytest.mark.parametrize("shape", [GREY, COLOUR])
def test_vgg_like_equals_the_network_written_out(shape: list[int]) -> None:
    model, images = small("vgg_like", shape), torch.randn(3, *shape)
    state, x = model.state_dict(), images
    for block in range(4):
        for name in (f"c{block}_0", f"c{block}_1"):
            x = norm(F.elu(conv(x, state, name, padding=1)), state, f"{name}norm")
        x = F.max_pool2d(x, 2)
    x = norm(x.flatten(1) @ state["fc1.weight"].T + state["fc1.bias"], state, "fc1norm").relu()
    assert torch.allclose(model(images), x @ state["fc2.weight"].T + state["fc2.bias"], atol=1e-5)


@pytest.mark.parametrize("preset", ["resnet18", "resnet34", "resnet50", "resnext50"])
def test_resnet_equals_that_of_torchvision_with_the_small_stem(preset: str) -> None:
    """Modules are registered in the same order there, so that the weights can be handed over one by one."""
    model = small(preset, [3, 8, 8], width=1.0)
    theirs = getattr(torchvision_resnet, {"resnext50": "resnext50_32x4d"}.get(preset, preset))(num_classes=4)
    theirs.conv1 = nn.Conv2d(3, 64, 3, padding=1, bias=False)
    theirs.maxpool = nn.Identity()
    assert len(theirs.state_dict()) == len(model.state_dict())
    theirs.load_state_dict(dict(zip(theirs.state_dict(), model.state_dict().values(), strict=True)))
    images = torch.randn(2, 3, 8, 8)
    assert torch.allclose(model(images), theirs.eval()(images), rtol=1e-4, atol=1e-4)


def test_a_basic_block_without_batch_norm_written_out() -> None:
    model, images = small("resnet18", [3, 9, 7], blocks=[1, 1], batch_norm=False), torch.randn(2, 3, 9, 7)
    state = model.state_dict()
    x = conv(images, state, "c0", padding=1).relu()
    x = (conv(conv(x, state, "l1.b0.c0", padding=1).relu(), state, "l1.b0.c1", padding=1) + x).relu()
    short = conv(x, state, "l2.b0.short", stride=2)
    x = conv(conv(x, state, "l2.b0.c0", stride=2, padding=1).relu(), state, "l2.b0.c1", padding=1)
    x = (x + short).relu().mean((2, 3)) @ state["fc0.weight"].T + state["fc0.bias"]
    assert torch.allclose(model(images), x, atol=1e-5)
    assert "l1.b0.short.weight" not in state and all("norm" not in key for key in state)


@pytest.mark.parametrize("preset", PRESETS)
def test_gradients_reach_every_weight(preset: str) -> None:
    model = small(preset).train()
    F.cross_entropy(model(torch.randn(8, *COLOUR)), torch.arange(8) % 4).backward()
    assert all(bool(p.grad.any()) for p in model.parameters() if p.dim() > 1 and p.grad is not None)
    assert all(p.grad is not None for p in model.parameters())


@pytest.mark.parametrize("preset", PRESETS)
def test_equal_seeds_give_equal_networks(preset: str) -> None:
    images = torch.randn(2, *COLOUR)
    one, other = (small(preset, seed=3)(images) for _ in range(2))
    assert torch.equal(one, other) and not torch.equal(one, small(preset, seed=4)(images))


def strides_and_pools(model: nn.Module) -> list[str]:
    pools = (nn.MaxPool2d, nn.AvgPool2d)
    return [
        name
        for name, module in model.named_modules()
        if isinstance(module, pools) or (isinstance(module, nn.Conv2d) and module.stride == (2, 2))
    ]


@pytest.mark.parametrize(
    ("preset", "pools", "expected"),
    [
        ("simple_conv", [0], ["mp1"]),
        ("simple_conv", [], []),
        ("all_convolutional", [1], ["c1conv"]),
        ("vgg_like", [1, 2], ["mp0", "mp1"]),
        ("resnet18", [0, 3], ["l1.b0.c0", "l1.b0.shortconv", "l4.b0.c0", "l4.b0.shortconv"]),
        ("resnet18", None, [f"l{i}.b0.{name}" for i in (2, 3, 4) for name in ("c0", "shortconv")]),
    ],
)
def test_maps_are_halved_where_asked(preset: str, pools: list[int] | None, expected: list[str]) -> None:
    model = small(preset, [1, 12, 10], pools=pools)
    assert strides_and_pools(model) == expected
    assert model(torch.randn(2, 1, 12, 10)).shape == (2, 4)


@pytest.mark.parametrize("preset", PRESETS)
def test_dropout_is_where_asked(preset: str) -> None:
    def rates(model: nn.Module) -> dict[str, float]:
        return {name: module.p for name, module in model.named_modules() if isinstance(module, nn.Dropout)}

    before_last = {"all_convolutional": "ccdrop", "resnet18": "fc0drop"}.get(preset, "fc1drop")
    assert rates(small(preset)) == {}
    assert rates(small(preset, dropout={"flatten": 0.3})) == {before_last: 0.3}
    everywhere = {
        "simple_conv": ["mp1drop", "mp2drop", "fc1drop", "fc2drop"],
        "all_convolutional": ["c2drop", "c5drop", "ccdrop"],
        "vgg_like": ["mp0drop", "mp1drop", "mp2drop", "mp3drop", "fc1drop", "fc2drop"],
        "resnet18": ["fc0drop"],
    }
    assert rates(small(preset, dropout=0.2)) == dict.fromkeys(everywhere[preset], 0.2)


@pytest.mark.parametrize("preset", ["all_convolutional", "resnet18"])
def test_networks_that_end_in_a_mean_take_the_smallest_images(preset: str) -> None:
    assert small(preset, [1, 1, 1])(torch.randn(2, 1, 1, 1)).shape == (2, 4)


@pytest.mark.parametrize(
    ("preset", "change", "says"),
    [
        ("simple_conv", {"input_shape": [1, 3, 9]}, r"simple_conv pools 2 times .* at least 4x4 .*pools=\[1\]$"),
        ("simple_conv", {"input_shape": [1, 5, 5], "pool": "blur"}, r"at least 6x6 pixels; or pool less: pools=\[1\]$"),
        ("simple_conv", {"pool": "min"}, r"model\.pool=min: allowed is max, average, blur"),
        ("simple_conv", {"kernels": 0}, r"model\.kernels=0: allowed is a whole number from 1"),
        ("simple_conv", {"hidden": 2.5}, r"model\.hidden=2\.5"),
        ("simple_conv", {"pools": [5]}, "numbered 0 to 4"),
        ("simple_conv", {"width": -1}, r"model\.width=-1"),
        ("simple_conv", {"dropout": {"pool": 0.1}}, "did you mean 'pools'"),
        ("all_convolutional", {"kernels": True}, r"model\.kernels=true"),
        ("all_convolutional", {"pools": [8]}, "numbered 0 to 7"),
        ("all_convolutional", {"dropout": 1.0}, r"model\.dropout=1\.0"),
        ("vgg_like", {"input_shape": [3, 15, 40]}, r"vgg_like pools 4 times .* at least 16x16 .*pools=\[1, 3, 5\]$"),
        ("vgg_like", {"kernels": "many"}, r"model\.kernels=many"),
        (
            "resnet18",
            {"blocks": []},
            r"model\.blocks=\[\]: allowed is a list of whole numbers from 1 that is not empty",
        ),
        ("resnet18", {"blocks": [2, 0]}, r"model\.blocks=\[2, 0\]"),
        ("resnet18", {"pools": [4]}, r"model\.pools=\[4\]: the stages are numbered 0 to 3"),
        ("resnet18", {"dropout": -0.1}, r"model\.dropout=-0\.1"),
        ("resnet18", {"relu_logits": True}, "resnet has no such option"),
    ],
)
def test_mistakes_end_in_one_line(preset: str, change: dict[str, Any], says: str) -> None:
    with pytest.raises(UserError, match=says) as caught:
        build(architecture(preset, COLOUR) | change)
    assert "\n" not in str(caught.value)
