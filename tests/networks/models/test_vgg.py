"""VGG against the published figures and a network written out; padding changes nothing, skips add what they say."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from src.core.errors import UserError
from src.networks.models import build
from src.networks.models.layout import ConvolutionalNetwork
from src.networks.options import VggOptions
from src.networks.slicing import plan_for

CIFAR: dict[str, Any] = {"name": "vgg", "classes": 10, "input_shape": [3, 32, 32]}
WIDTHS = [5, 9, 6, 6, 4, 11, 3, 7, 2, 8, 5, 1, 9, 6, 7]  # no multiple of 8 but one
SMALL: dict[str, Any] = {"name": "vgg", "classes": 4, "input_shape": [3, 16, 16], "widths": WIDTHS}


def network(seed: int = 0, **options: Any) -> ConvolutionalNetwork:
    torch.manual_seed(seed)
    model = build(SMALL | options)
    assert isinstance(model, ConvolutionalNetwork)
    return model


def weights(model: nn.Module) -> list[Tensor]:
    return [module.weight for module in model.modules() if isinstance(module, nn.Conv2d | nn.Linear)]


@pytest.mark.parametrize(
    ("widths", "parameters"),
    [(VggOptions.widths, 15_250_378), ((64, 64, 128, 128, *[256] * 4, *[512] * 10), 20_561_354)],
)
def test_the_published_networks(widths: tuple[int, ...], parameters: int) -> None:
    model = build({**CIFAR, "widths": list(widths)})
    assert sum(p.numel() for p in model.parameters()) == parameters
    assert [m.p for m in model.modules() if isinstance(m, nn.Dropout)] == [0.5]
    assert {m.eps for m in model.modules() if isinstance(m, nn.BatchNorm2d | nn.BatchNorm1d)} == {1e-4}
    assert not any(m.num_batches_tracked for m in model.modules() if isinstance(m, nn.BatchNorm2d | nn.BatchNorm1d))
    steps = [name for name, _ in model.named_children()]
    assert steps[:7] == ["conv_0", "norm_0", "relu_0", "conv_1", "norm_1", "relu_1", "pool_1"]
    last = len(widths)
    names = ("fc", "norm", "relu")
    assert steps[-8:] == [
        *(f"{name}_{last - 2}" for name in names),
        *(f"{name}_{last - 1}" for name in names),
        f"dropout_{last}",
        f"fc_{last}",
    ]


@pytest.mark.parametrize("skip", [False, True])
@pytest.mark.parametrize("train", [False, True])
def test_it_equals_the_network_written_out(skip: bool, train: bool) -> None:
    model = network(skip=skip, dropout=0.0).train(train)
    x = images = torch.randn(6, 3, 16, 16)
    state = {key: value.clone() for key, value in model.state_dict().items()}

    def norm(y: Tensor, i: int) -> Tensor:
        name = f"norm_{i}"
        mean, var = state[f"{name}.running_mean"], state[f"{name}.running_var"]
        weight, bias = state[f"{name}.weight"], state[f"{name}.bias"]
        return nn.functional.batch_norm(y, mean, var, weight, bias, training=train, eps=1e-4)

    for i in range(13):
        given = x
        x = norm(nn.functional.conv2d(given, state[f"conv_{i}.weight"], padding=1), i)
        if skip and i not in (0, 2, 4, 7, 10):
            shared = min(given.shape[1], x.shape[1])
            x[:, :shared] += given[:, :shared]
        x = torch.relu(x)
        if i in (1, 3, 6, 9):  # the fifth block works on one pixel
            x = nn.functional.max_pool2d(x, 2)
    x = x.flatten(1)
    for i in (13, 14):
        x = torch.relu(norm(x @ state[f"fc_{i}.weight"].T, i))
    expected = x @ state["fc_15.weight"].T + state["fc_15.bias"]
    assert torch.allclose(model(images), expected, atol=1e-5)


@pytest.mark.parametrize(
    ("shape", "pools", "columns"),
    [([3, 32, 32], None, 9), ([1, 8, 8], None, 9), ([3, 64, 48], None, 18), ([3, 16, 16], [1, 3], 144)],
)
def test_pools_fit_the_image(shape: list[int], pools: list[int] | None, columns: int) -> None:
    model = network(input_shape=shape, pools=pools)
    assert model.get_submodule("fc_13").in_features == columns
    assert model(torch.randn(2, *shape)).shape == (2, 4)


@pytest.mark.parametrize(
    ("init", "deviation", "bound"),
    [
        ("kaiming_normal", (2 / (9 * 300)) ** 0.5, None),
        ("kaiming_uniform", (2 / (9 * 300)) ** 0.5, (6 / (9 * 300)) ** 0.5),
        ("xavier_normal", (2 / (9 * 300 + 9 * 200)) ** 0.5, None),
        ("xavier_uniform", (2 / (9 * 300 + 9 * 200)) ** 0.5, (6 / (9 * 300 + 9 * 200)) ** 0.5),
    ],
)
def test_initialisation(init: str, deviation: float, bound: float | None) -> None:
    model = network(init=init, widths=[300, 200, *[2] * 12, 400], pad_widths=16, classes=100)
    live = model.get_parameter("conv_1.weight")[:200, :300]
    assert live.std().item() == pytest.approx(deviation, rel=0.01)
    if bound is not None:
        assert live.abs().max().item() == pytest.approx(bound, rel=0.01)
    expected = (2 / 400) ** 0.5 if init.startswith("kaiming") else (2 / 500) ** 0.5
    assert model.get_parameter("fc_15.weight")[:, :400].std().item() == pytest.approx(expected, rel=0.02)
    assert not model.get_parameter("fc_15.bias").any()


def test_without_batch_norm_there_are_biases_of_zero() -> None:
    for none in (None, 0, False):
        model = network(batch_norm=none)
        layers = [m for m in model.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
        assert all(layer.bias is not None and not layer.bias.any() for layer in layers)
        assert not any(isinstance(m, nn.BatchNorm2d | nn.BatchNorm1d) for m in model.modules())
    assert network(batch_norm=0.01).get_submodule("norm_13").eps == 0.01


@pytest.mark.parametrize(("skip", "batch_norm"), [(False, 1e-4), (True, 1e-4), (False, None)])
def test_dead_channels_change_nothing_that_is_learnt(skip: bool, batch_norm: float | None) -> None:
    options: dict[str, Any] = {"skip": skip, "batch_norm": batch_norm, "dropout": 0.0, "input_shape": [3, 32, 16]}
    plain, padded = network(**options).double(), network(**options, pad_widths=8).double()
    assert {w.shape[0] % 8 for w in weights(padded)[:-1]} == {0}
    assert [w.shape[1] % 8 for w in weights(padded)] == [3] + [0] * 15
    optimisers = [torch.optim.SGD(m.parameters(), 0.05, momentum=0.9, weight_decay=0.05) for m in (plain, padded)]
    for _ in range(6):
        images, labels = torch.randn(12, 3, 32, 16, dtype=torch.float64), torch.randint(4, (12,))
        for model, optimiser in zip((plain, padded), optimisers, strict=True):
            optimiser.zero_grad()
            nn.functional.cross_entropy(model(images), labels).backward()
            optimiser.step()
    learnt, wide = dict(plain.named_parameters()), dict(padded.named_parameters())
    assert learnt.keys() == wide.keys()
    for name, parameter in learnt.items():
        corner = wide[name][tuple(slice(size) for size in parameter.shape)]
        assert torch.allclose(corner, parameter, rtol=1e-9, atol=1e-12), name
        assert int(wide[name].count_nonzero()) == int(parameter.count_nonzero()), name
    assert torch.allclose(plain.eval()(images), padded.eval()(images), atol=1e-9)


@pytest.mark.parametrize("pad_widths", [1, 8])
def test_it_can_be_run_in_parts_and_described_for_slicing(pad_widths: int) -> None:
    model = network(pad_widths=pad_widths).eval()
    images = torch.randn(2, 3, 16, 16)
    for stop in (1, model.step_of("pool_3"), model.step_of("fc_13")):
        assert torch.equal(model.run(model.run((images, images), 0, stop), stop)[0], model(images))
    plan = plan_for(model, [3, 16, 16])  # verified by masks on the way
    assert len(plan.groups) == 13 and plan.output == "fc_15"


def test_skips_run_in_parts_too_but_cannot_be_sliced() -> None:
    model = network(skip=True, pad_widths=4).eval()
    images = torch.randn(2, 3, 16, 16)
    for stop in range(len(model.steps)):
        assert torch.equal(model.run(model.run((images, images), 0, stop), stop)[0], model(images))
    with pytest.raises(UserError, match=r"model\.skip=true") as caught:
        plan_for(model, [3, 16, 16])
    assert "\n" not in str(caught.value)


def test_it_is_built_without_memory_too() -> None:
    with torch.device("meta"):
        model = build({**SMALL, "pad_widths": 8, "skip": True})
    assert {tensor.device.type for tensor in model.state_dict().values()} == {"meta"}


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"widths": WIDTHS[:-1]}, "14 numbers; a VGG has 3L\\+6"),
        ({"widths": [4] * 6}, "6 numbers"),
        ({"widths": [0, *WIDTHS[1:]]}, r"model.widths=\[0, 9, .*\]: allowed is a list of whole numbers from 1"),
        ({"widths": [2.5, *WIDTHS[1:]]}, r"model.widths=\[2.5, 9, "),
        ({"batch_norm": -1.0}, "model.batch_norm=-1.0"),
        ({"batch_norm": "yes"}, "model.batch_norm=yes: allowed is its eps, such as 1e-4, or null for none"),
        ({"init": "kaiming"}, "did you mean 'kaiming_"),
        ({"pad_widths": 0}, "model.pad_widths=0"),
        ({"pools": [1, 3, 6, 9, 12]}, "at least 32x32 pixels; or pool less"),
        ({"pools": [13]}, "numbered 0 to 12"),
        ({"dropout": 1}, "model.dropout=1"),
    ],
)
@pytest.mark.parametrize("skip", [False, True])
def test_mistakes_end_in_one_line(change: dict[str, Any], says: str, skip: bool) -> None:
    with pytest.raises(UserError, match=says) as caught:
        network(**change, skip=skip)
    assert "\n" not in str(caught.value)


def test_seeds_give_the_same_live_weights_at_any_padding() -> None:
    plain, padded = network(seed=5), network(seed=5, pad_widths=8)
    for one, other in itertools.zip_longest(weights(plain), weights(padded)):
        assert torch.equal(one.flatten(), other[other != 0])
