"""Weights on disk: the same bits, whole or not at all, and no other network's."""

import copy
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from src.networks import weights
from src.networks.models import build
from src.networks.weights import digest_of_weights, load_weights, save_weights


def network(width: int = 4) -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, width, 3), nn.BatchNorm2d(width), nn.Flatten(), nn.LazyLinear(2))


def built(width: int = 4) -> nn.Module:
    model = network(width)
    model(torch.rand(2, 3, 8, 8))  # moves the running statistics too
    return model


def test_parameters_and_buffers_come_back_bit_for_bit(tmp_path: Path):
    first, second = built(), built()
    images = torch.rand(2, 3, 8, 8)
    assert not torch.equal(first.eval()(images), second.eval()(images))
    save_weights(first, tmp_path / "a.safetensors")
    load_weights(second, tmp_path / "a.safetensors")
    assert torch.equal(first(images), second(images))
    for name, tensor in first.state_dict().items():
        assert torch.equal(tensor, second.state_dict()[name]) and tensor.dtype == second.state_dict()[name].dtype
    assert [path.name for path in tmp_path.iterdir()] == ["a.safetensors"]


def test_channels_last_is_no_hindrance(tmp_path: Path):
    first, second = built().to(memory_format=torch.channels_last), built()
    save_weights(first, tmp_path / "a.safetensors")
    load_weights(second, tmp_path / "a.safetensors")
    assert torch.equal(first.state_dict()["0.weight"], second.state_dict()["0.weight"])


def test_a_write_that_fails_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = tmp_path / "a.safetensors"
    save_weights(built(), path)
    before = path.read_bytes()

    def half(tensors, file):
        file.write_bytes(b"half")
        raise OSError("disk full")

    monkeypatch.setattr(weights, "save_file", half)
    with pytest.raises(OSError, match="disk full"):
        save_weights(built(), path)
    assert path.read_bytes() == before


def test_another_networks_weights_and_damaged_files_are_refused(tmp_path: Path):
    path = tmp_path / "a.safetensors"
    save_weights(built(width=5), path)
    with pytest.raises(RuntimeError, match="size mismatch"):
        load_weights(built(), path)
    save_weights(nn.Linear(1, 1), path)
    with pytest.raises(RuntimeError, match="Missing key"):
        load_weights(built(), path)
    path.write_bytes(path.read_bytes()[:-3])
    with pytest.raises(RuntimeError, match=r"^damaged file: "):
        load_weights(nn.Linear(1, 1), path)


def test_weights_that_differ_in_one_number_have_another_digest() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 2, 3), nn.BatchNorm2d(2))
    before = digest_of_weights(model)
    assert digest_of_weights(copy.deepcopy(model)) == before
    with torch.no_grad():
        model[1].running_mean[1] += 1e-7  # type: ignore[index, operator]
    assert digest_of_weights(model) != before


class Shared(nn.Module):
    """A block under two names, and one matrix in two layers."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
        self.stages = nn.ModuleList([self.first])
        self.inner, self.outer = nn.Linear(4, 4), nn.Linear(4, 4)
        self.outer.weight = self.inner.weight

    def forward(self, x):
        return self.outer(self.inner(self.stages[0](x).mean((2, 3))))


def test_what_stands_under_two_names_is_written_twice_and_stays_one(tmp_path: Path):
    torch.manual_seed(0)
    first, second, plain = Shared(), Shared(), Shared()
    first(torch.rand(2, 3, 8, 8))
    save_weights(first, tmp_path / "a.safetensors")
    load_weights(second, tmp_path / "a.safetensors")
    assert second.outer.weight is second.inner.weight and second.stages[0] is second.first
    images = torch.rand(2, 3, 8, 8)
    assert torch.equal(first.eval()(images), second.eval()(images))
    assert digest_of_weights(first) == digest_of_weights(second)
    plain.load_state_dict(load_file(tmp_path / "a.safetensors"), strict=True)  # as anyone reads such a file
    assert torch.equal(plain.eval()(images), first(images))
    save_weights(second, tmp_path / "b.safetensors")
    assert (tmp_path / "b.safetensors").read_bytes() == (tmp_path / "a.safetensors").read_bytes()


def test_the_bytes_of_a_network_without_ties_are_those_of_its_tensors(tmp_path: Path):
    model = built()
    save_weights(model, tmp_path / "a.safetensors")
    save_file(dict(model.state_dict()), tmp_path / "b.safetensors")
    assert (tmp_path / "a.safetensors").read_bytes() == (tmp_path / "b.safetensors").read_bytes()


def test_layers_that_ask_for_their_version_find_it(tmp_path: Path):
    architecture = {"name": "torchvision:mnasnet0_5", "classes": 3, "input_shape": [3, 32, 32]}
    first, second = build(architecture), build(architecture)
    images = torch.rand(2, 3, 32, 32)
    first(images)
    save_weights(first, tmp_path / "a.safetensors")
    load_weights(second, tmp_path / "a.safetensors")
    assert torch.equal(first.eval()(images), second.eval()(images))
