"""Weights that others saved: which files are read, under which names, and what is said of those that do not fit."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from src.core.errors import UserError
from src.networks.saved_weights import ENTRIES, PREFIXES, MisfitError, load_saved, read_weights


def network(seed: int = 0, classes: int = 3) -> nn.Sequential:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(4, classes)).eval()


def prefixed(prefix: str, seed: int = 0) -> dict[str, Tensor]:
    return {prefix + name: value for name, value in network(seed).state_dict().items()}


def is_loaded(tensors: dict[str, Tensor]) -> list[str]:
    """The events of loading what network(0) has saved."""
    model = network(1)
    events = load_saved(model, tensors)
    assert all(torch.equal(value, network().state_dict()[name]) for name, value in model.state_dict().items())
    return events


def refusal(path: Path) -> str:
    with pytest.raises(UserError) as error:
        read_weights(path)
    assert str(path) in str(error.value) and "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize("file", ["größe eins.pth", "a.pt", "a.ckpt", "a.pth.tar", "a.bin", "a.safetensors", "old.pth"])
def test_a_state_dict_in_any_file(file: str, tmp_path: Path):
    path, state = tmp_path / file, network().state_dict()
    if path.suffix == ".safetensors":
        save_file(state, path)
    else:
        torch.save(state, path, _use_new_zipfile_serialization=file != "old.pth")
    tensors, events = read_weights(path)
    assert not events and is_loaded(tensors) == []


@pytest.mark.parametrize("entry", ENTRIES)
def test_the_entry_of_a_checkpoint(entry: str, tmp_path: Path):
    optimizer = torch.optim.Adam(network().parameters()).state_dict()
    average = prefixed("", seed=2)
    torch.save({"epoch": 3, "loss": torch.tensor(0.5), entry: network().state_dict(), "optimizer": optimizer,
                "ema": average}, tmp_path / "last.pt")  # fmt: skip
    tensors, events = read_weights(tmp_path / "last.pt")
    assert events == [f"the weights are its entry '{entry}', not ema"] and is_loaded(tensors) == []


def test_entries_within_entries_and_what_is_no_tensor(tmp_path: Path):
    torch.save({"model": {"state_dict": {**network().state_dict(), "steps": 4}}}, tmp_path / "a.pt")
    tensors, events = read_weights(tmp_path / "a.pt")
    assert [event.partition(": ")[0] for event in events][-1] == "no tensors, passed over" and len(events) == 3
    assert is_loaded(tensors) == []


@pytest.mark.parametrize("prefix", [*PREFIXES, "module._orig_mod.", "model.net.", "student."])
def test_a_prefix_before_all_names(prefix: str):
    assert is_loaded(prefixed(prefix)) == [f"prefix '{prefix}' taken off 9 names"]


def test_what_lies_beside_the_network_is_told():
    lightning = {"loss.weight": torch.ones(3), **prefixed("net."), **prefixed("ema.", seed=5)}
    assert is_loaded(lightning) == [
        "prefix 'net.' taken off 9 names",
        "10 tensors beside 'net.' passed over: loss.weight, ema.0.weight, ema.0.bias ... (10 in all)",
    ]


def test_a_network_that_is_within_another_of_its_own_is_not_taken_for_it():
    model = nn.Sequential(network(1))
    assert load_saved(model, {f"0.{name}": value for name, value in prefixed("").items()}) == []


@pytest.mark.parametrize("pair", [("model.", "net."), ("student.", "teacher.")])
def test_two_networks_of_one_kind_are_not_chosen_from(pair: tuple[str, str]):
    with pytest.raises(UserError, match=f"it fits below '{pair[0]}' and '{pair[1]}'; save one of them alone"):
        load_saved(network(), prefixed(pair[0]) | prefixed(pair[1]))


def test_counts_of_batches_may_be_missing():
    assert is_loaded(prefixed("")) == []
    model, tensors = network(1), prefixed("")
    del tensors["1.num_batches_tracked"]
    assert load_saved(model, tensors) == [] and torch.equal(model[0].weight, network()[0].weight)


def test_another_precision_is_told():
    half = {name: value.half() if value.is_floating_point() else value for name, value in prefixed("").items()}
    assert load_saved(network(1), half) == ["weights of type float16 are computed with as float32"]


def misfit(tensors: dict[str, Tensor]) -> str:
    model = network(1)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with pytest.raises(MisfitError) as error:
        load_saved(model, tensors)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items()), "nothing is loaded"
    return str(error.value)


def test_what_does_not_fit_is_listed_and_counted():
    wrong = {**prefixed("module."), **{f"module.head.{number}": torch.ones(1) for number in range(5)}}
    del wrong["module.3.bias"]
    wrong["module.0.weight"] = torch.ones(4, 1, 3, 3)
    assert misfit(wrong) == (
        "missing: 3.bias; unexpected: module.head.0, module.head.1, module.head.2 ... (5 in all); "
        "of another shape: 0.weight (4, 1, 3, 3) for (4, 3, 3, 3)"
    )
    assert misfit({"a": torch.ones(1)}) == "missing: 0.weight, 0.bias, 1.weight ... (8 in all); unexpected: a"
    assert misfit({**prefixed(""), "extra": torch.ones(1)}) == "unexpected: extra"


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "empty.pth": lambda _: b"",
    "empty.safetensors": lambda _: b"",
    "half.pth": lambda whole: whole[: len(whole) // 2],
    "flipped.pth": lambda whole: whole.replace(weight := network()[0].bias.detach().numpy().tobytes(), weight[::-1]),
    "zeros.ckpt": lambda _: bytes(64),
    "text.pth": lambda _: b"hello, this is a text",
    "page.pt": lambda _: b"<!DOCTYPE html><html>",
    "pointer.pth": lambda _: b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n",
    "text.safetensors": lambda _: b"\x05" + bytes(7) + b"hello",
    "huge.safetensors": lambda _: b"\xff" * 8 + b"{}",
    "short.safetensors": lambda _: b"\x3b" + bytes(7) + b'{"a":{"dtype":"F32","shape":[400],"data_offsets":[0,1600]}}',
    "torch.safetensors": lambda whole: whole,
}  # fmt: skip


@pytest.mark.parametrize("file", DAMAGES)
def test_a_damaged_file_is_one_line(file: str, tmp_path: Path):
    torch.save(network().state_dict(), tmp_path / file)
    (tmp_path / file).write_bytes(DAMAGES[file]((tmp_path / file).read_bytes()))
    assert "damaged, or no file of weights" in refusal(tmp_path / file)


@pytest.mark.parametrize("content", [[1, 2], {}, {"epoch": 3}, torch.ones(2), {"state": {0: {"step": torch.ones(1)}}}])
def test_a_file_without_weights(content: object, tmp_path: Path):
    torch.save(content, tmp_path / "a.pth")
    assert "holds no weights by name" in refusal(tmp_path / "a.pth")


class Mine(nn.Linear):
    """A class that torch does not know."""


@pytest.mark.parametrize("kind", ["module", "old module", "hyperparameters", "program"])
@pytest.mark.filterwarnings("ignore:.*torch.jit:FutureWarning")
def test_the_lines_that_convert_a_file_with_code_do_so(kind: str, tmp_path: Path):
    path, model = tmp_path / "it's old.ckpt", Mine(3, 2)
    contents = {"hyperparameters": {"state_dict": model.state_dict(), "hparams": argparse.Namespace(width=2)}}
    if kind == "program":
        torch.jit.trace(model, torch.ones(1, 3)).save(str(path))
    else:
        torch.save(contents.get(kind, model), path, _use_new_zipfile_serialization=kind != "old module")
    said = refusal(path)
    what = {"hyperparameters": "argparse.Namespace", "program": "a TorchScript program"}.get(kind, f"{__name__}.Mine")
    assert f"holds more than weights ({what}), which could run any code" in said
    found = re.search(r"import torch; .*", said)
    assert found and len(found[0].split("; ")) == 3
    exec(found[0], {})
    again = Mine(3, 2)
    assert load_saved(again, read_weights(tmp_path / "it's old_weights.pth").tensors) == []
    assert torch.equal(again.weight, model.weight)


class Trap:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return open, ("sprung", "w")


def test_no_code_in_a_file_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    for new in (True, False):
        torch.save({"state_dict": Trap()}, "trap.pth", _use_new_zipfile_serialization=new)
        assert "holds more than weights" in refusal(Path("trap.pth"))
    assert not Path("sprung").exists()
