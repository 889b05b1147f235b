"""Weights on disk: the same bits, whole or not at all, and no other network's."""

import copy
from pathlib import Path

import pytest
import torch
from torch import nn

from src.networks import weights
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
