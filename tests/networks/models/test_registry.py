"""The registry: every name builds and trains, options reach the network, mistakes end in one clear line."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from src.core.errors import UserError
from src.networks.models import build
from src.networks.models.registry import BUILDERS
from src.networks.options import NETWORKS, PREFIXES, model_options
from tests.networks.models.presets import FOLDER, architecture

SMALL: dict[str, Any] = {"classes": 4, "input_shape": [3, 32, 32], "width": 0.125}


@pytest.mark.parametrize("name", sorted(NETWORKS))
@pytest.mark.parametrize("batch_norm", [False, True])
def test_every_model_runs_forward_and_backward(name: str, batch_norm: bool) -> None:
    model = build({"name": name, **SMALL, "batch_norm": batch_norm})
    logits = model(torch.randn(3, 3, 32, 32))
    assert logits.shape == (3, 4)
    logits.square().sum().backward()
    assert all(parameter.grad is not None for parameter in model.parameters())
    assert any(isinstance(module, nn.BatchNorm2d) for module in model.modules()) == batch_norm


@pytest.mark.parametrize("name", sorted(NETWORKS))
def test_every_model_can_be_traced(name: str) -> None:
    model = build({"name": name, **SMALL}).eval()
    images = torch.randn(2, 3, 32, 32)
    assert torch.equal(torch.fx.symbolic_trace(model)(images), model(images))


@pytest.mark.parametrize("name", sorted(NETWORKS))
def test_every_model_takes_the_same_options(name: str) -> None:
    assert name in BUILDERS
    keys = [field.name for field in fields(NETWORKS[name])]
    assert keys[:4] == ["width", "batch_norm", "dropout", "pools"]  # a family may add its own


@pytest.mark.parametrize("preset", sorted(path.stem for path in FOLDER.glob("*.yaml")))
def test_every_preset_says_options_of_its_network(preset: str) -> None:
    values = architecture(preset, [3, 32, 32])
    if str(values["name"]).startswith((*PREFIXES, "?")):
        return
    values = {key: value for key, value in values.items() if key not in ("name", "classes", "input_shape")}
    options = model_options(architecture(preset, [3, 32, 32])["name"], values)
    left_out = {field.name for field in fields(options)} - set(values)
    assert left_out == ({"width", "widths"} if preset.startswith("vgg_variant") else set())


def test_options_are_checked_without_torch() -> None:
    code = "import sys; from src.networks.options import model_options; model_options('vgg', {'widths': [3]})"
    subprocess.run([sys.executable, "-c", f"{code}; assert 'torch' not in sys.modules"], check=True)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"name": "simcn"}, "did you mean 'simcnn'"),
        ({"widht": 1.0}, "did you mean 'width'"),
        ({"classes": 0}, "model.classes=0"),
        ({"classes": True}, "model.classes=true: allowed is a whole number from 1"),
        ({"input_shape": [32, 32]}, r"model.input_shape=\[32, 32\]: allowed is \[channels, height, width\]"),
        ({"input_shape": [3, 0, 32]}, r"model.input_shape=\[3, 0, 32\]"),
        ({"input_shape": [3, 31, 40]}, "at least 32x32 pixels; or pool less: pools=\\[1, 3, 6, 9\\]"),
        ({"width": 0}, "model.width=0: allowed is a number above 0"),
        ({"width": "wide"}, "model.width=wide"),
        ({"dropout": 1.0}, "model.dropout=1.0: allowed is null or a number from 0 to below 1"),
        ({"dropout": {"flatten": 0.5}}, "model.dropout={'flatten': 0.5}: allowed is null or a number from 0"),
        ({"batch_norm": None}, "model.batch_norm=null: allowed is true, false"),
        ({"pools": [13]}, "numbered 0 to 12"),
        ({"name": "torchvision:resnet8"}, "did you mean 'resnet18'"),
        ({"name": "torchvision:resnet18", "width": 2}, "torchvision:resnet18 cannot be built"),
        ({"name": "timm:resnett18"}, "timm:resnett18"),
        ({"name": "python:not_there"}, "python:package.module:callable"),
        ({"name": "python:not_there:Net"}, "not_there"),
    ],
)
def test_mistakes_end_in_one_line(change: dict[str, Any], says: str) -> None:
    architecture = {"name": "simcnn", "classes": 10, "input_shape": [3, 32, 32]} | change
    with pytest.raises(UserError, match=says) as caught:
        build(architecture)
    assert "\n" not in str(caught.value)


def test_a_missing_key_is_named() -> None:
    with pytest.raises(UserError, match=r"model\.classes: missing; allowed is a whole number from 1"):
        build({"name": "simcnn"})


def test_a_residual_network_of_torchvision_gets_the_small_stem_for_small_images() -> None:
    architecture: dict[str, Any] = {"name": "torchvision:resnet18", "classes": 5, "input_shape": [1, 32, 32]}
    small = build(architecture)
    assert small.conv1.weight.shape == (64, 1, 3, 3)
    assert isinstance(small.maxpool, nn.Identity)
    assert build({**architecture, "small_images": False}).conv1.weight.shape == (64, 1, 7, 7)
    assert isinstance(build({**architecture, "input_shape": [3, 64, 64]}).maxpool, nn.MaxPool2d)
    with pytest.raises(UserError, match="small_images"):
        build({**architecture, "name": "torchvision:squeezenet1_1", "small_images": True})


def test_an_input_that_a_foreign_model_cannot_take_is_named() -> None:
    with pytest.raises(UserError, match="3x16x16"):
        build({"name": "torchvision:squeezenet1_0", "classes": 5, "input_shape": [3, 16, 16]})


def test_a_timm_model_by_prefix() -> None:
    pytest.importorskip("timm")
    model = build({"name": "timm:resnet10t", "classes": 3, "input_shape": [1, 64, 64]})
    assert model(torch.randn(2, 1, 64, 64)).shape == (2, 3)


def test_timm_missing_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(UserError, match="extra `zoo`"):
        build({"name": "timm:resnet18", "classes": 3, "input_shape": [3, 64, 64]})


def test_a_users_own_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = """
from torch import nn
def flat(classes, input_shape, hidden=4):
    channels, height, width = input_shape
    return nn.Sequential(nn.Flatten(), nn.Linear(channels * height * width, hidden), nn.Linear(hidden, classes))
def theirs(num_classes=1000):
    return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, num_classes))
def wrong(classes):
    return nn.Sequential(nn.Flatten(), nn.Linear(7, classes))
"""
    (tmp_path / "my_own_nets.py").write_text(source)
    monkeypatch.syspath_prepend(tmp_path)
    base = {"classes": 6, "input_shape": [3, 8, 8]}
    model = build({"name": "python:my_own_nets:flat", **base, "hidden": 9})
    assert model(torch.randn(2, 3, 8, 8)).shape == (2, 6)
    assert isinstance(model[1], nn.Linear) and model[1].out_features == 9
    assert build({"name": "python:my_own_nets:theirs", **base})(torch.randn(2, 3, 8, 8)).shape == (2, 6)
    with pytest.raises(UserError, match="cannot take a 3x8x8 image"):
        build({"name": "python:my_own_nets:wrong", **base})
