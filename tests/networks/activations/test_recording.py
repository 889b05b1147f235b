"""All activations of a pass, as they are computed."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from src.core.errors import UserError
from src.networks.activations import choose, layers_of, recording


class Block(nn.Module):
    """Re-uses its ReLU, adds by an operator, works in place, and calls functions."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 3, 3, padding=1), nn.Conv2d(3, 3, 3, padding=1)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, images: Tensor) -> Tensor:
        inner = self.relu(self.first(images))
        inner = self.second(inner)
        inner += images
        return F.max_pool2d(F.relu(self.relu(inner), inplace=True), 2)


class Network(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.block, self.drop, self.head = Block(), nn.Dropout(inplace=True), nn.Linear(48, 5)

    def forward(self, images: Tensor) -> Tensor:
        found: Tensor = self.head(self.drop(torch.flatten(self.block(images), 1))).softmax(1)
        return found


NAMES = [
    *("block.first", "block.relu", "block.second", "block.add", "block.relu#2", "block.relu#3", "block.max_pool2d"),
    *("head", "softmax"),
]


def heard(model: nn.Module, images: Tensor, names: list[str] | None = None) -> dict[str, Tensor]:
    found: dict[str, Tensor] = {}
    with torch.inference_mode(), recording(model, lambda name, _, map_: found.__setitem__(name, map_.clone()), names):
        model(images)
    return found


def hooks(model: nn.Module) -> int:
    return sum(len(module._forward_hooks) + len(module._forward_pre_hooks) for module in model.modules())


def test_modules_functions_and_repeated_calls_in_order_of_computing() -> None:
    torch.manual_seed(0)
    model, images = Network().eval(), torch.randn(2, 3, 8, 8)
    found = heard(model, images)
    assert list(found) == NAMES
    block = model.block
    first = block.first(images)
    assert torch.equal(found["block.first"], first)  # though the ReLU overwrites it
    second = block.second(first.relu())
    assert torch.equal(found["block.second"], second)
    assert torch.equal(found["block.add"], second + images)
    assert torch.equal(found["block.max_pool2d"], F.max_pool2d((second + images).relu(), 2))
    assert torch.equal(found["softmax"], model(images))


@pytest.mark.parametrize("names", [["block.second"], ["block.add", "head"], ["block.relu#2"]])
def test_only_what_is_asked_for(names: list[str]) -> None:
    torch.manual_seed(0)
    model, images = Network().eval(), torch.randn(2, 3, 8, 8)
    found, everything = heard(model, images, names), heard(model, images)
    assert list(found) == names
    assert all(torch.equal(found[name], everything[name]) for name in names)


def test_counts_start_anew_with_every_pass_and_after_an_error() -> None:
    model, images = Network().eval(), torch.randn(2, 3, 8, 8)
    names: list[str] = []
    with torch.inference_mode(), recording(model, lambda name, *_: names.append(name)):
        model(images)
        with pytest.raises(RuntimeError):
            model(torch.randn(2, 3, 6, 6))
        names.clear()
        model(images)
    assert names == NAMES
    assert hooks(model) == 0


def test_hooks_and_mode_are_removed_after_an_error() -> None:
    model = Network().eval()
    with pytest.raises(RuntimeError), recording(model, lambda *_: None):
        model(torch.randn(2, 7, 8, 8))
    assert hooks(model) == 0
    heard_later: list[str] = []
    with recording(model, lambda name, *_: heard_later.append(name)):
        pass
    model(torch.randn(2, 3, 8, 8))
    assert not heard_later


def test_a_listener_may_compute_without_being_heard() -> None:
    model, images = Network().eval(), torch.randn(2, 3, 8, 8)
    sums = []
    names = []

    def listen(name: str, kind: str, map_: Tensor) -> None:
        names.append(name)
        sums.append((map_ * 2 + 1).relu().sum())

    with recording(model, listen):
        model(images)
    assert names == NAMES


class Pieces(nn.Module):
    """Images cut into quarters, which are rows of their own for a while."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.identity = nn.Conv2d(3, 4, 1), nn.Identity()

    def forward(self, images: Tensor) -> Tensor:
        pieces = images.unfold(2, 4, 4).unfold(3, 4, 4).permute(0, 2, 3, 1, 4, 5).flatten(0, 2)
        return self.identity(self.conv(pieces)).view(len(images), 4, -1).mean(1)


def test_layers_know_their_shape_and_leave_out_what_has_no_row_per_image() -> None:
    model = Network()
    layers = layers_of(model, torch.randn(3, 3, 8, 8).contiguous(memory_format=torch.channels_last))
    assert [layer.name for layer in layers] == NAMES
    assert model.training  # as it was
    assert layers[0].shape == (3, 8, 8) and layers[0].channels_last and layers[0].is_map and layers[0].units == 192
    assert layers[-1].shape == (5,) and layers[-1].kind == "softmax" and not layers[-1].is_map
    assert [layer.name for layer in layers_of(Pieces(), torch.randn(2, 3, 8, 8))] == ["mean"]


def test_patterns_choose_by_name_and_kind() -> None:
    layers = layers_of(Network(), torch.randn(2, 3, 8, 8))
    names = lambda *patterns: [layer.name for layer in choose(layers, patterns)]  # noqa: E731
    assert names("Conv2d") == ["block.first", "block.second"]
    assert names("*", "!block.*") == ["head", "softmax"]
    assert names("!Conv2d", "!ReLU", "!relu*") == ["block.add", "block.max_pool2d", "head", "softmax"]
    with pytest.raises(UserError, match="layers: nothing in the network fits 'Convv2d'"):
        names("head", "Convv2d")
    with pytest.raises(UserError, match=r"study.layers=\['head', '!Linear'\]: leaves no layer"):
        choose(layers, ["head", "!Linear"], "study.layers")
