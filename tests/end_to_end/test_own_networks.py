"""A user's own networks through the command line: trained, saved and loaded, or refused before they are trained."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from src.networks.subjects import load_subject
from tests.end_to_end.conftest import TINY, Ran, Run

NETS = """
import torch
from torch import nn
from torch.nn import functional


class Alias(nn.Module):
    def __init__(self, classes, input_shape):
        super().__init__()
        self.layer1 = nn.Sequential(nn.Conv2d(input_shape[0], 8, 3), nn.BatchNorm2d(8), nn.ReLU())
        self.stages = nn.ModuleList([self.layer1])
        self.inner, self.outer, self.head = nn.Linear(8, 8), nn.Linear(8, 8), nn.Linear(8, classes)
        self.outer.weight = self.inner.weight

    def forward(self, x):
        return self.head(self.outer(self.inner(self.stages[0](x).mean((2, 3))).relu()))


class Pair(nn.Module):
    def __init__(self, classes, input_shape):
        super().__init__()
        self.c = nn.Conv2d(input_shape[0], classes, 3)

    def forward(self, x):
        y = self.c(x).mean((2, 3))
        return (y, y) if self.training else y


class Attending(nn.Module):
    def __init__(self, classes, input_shape):
        super().__init__()
        self.stem = nn.Parameter(0.2 * torch.randn(4, input_shape[0], 3, 3))
        self.a, self.b = nn.Conv2d(4, 6, 3, stride=3), nn.Conv2d(6, 8, 3, stride=3)
        self.encoder = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
        self.head = nn.Linear(8, classes)

    def forward(self, x):
        x = functional.conv2d(x, self.stem).relu()
        return self.head(self.encoder(self.b(self.a(x).relu()).flatten(2).transpose(1, 2)).mean(1))


class Dictionary(Pair):
    def forward(self, x):
        return {"logits": super().forward(x)} if self.training else super().forward(x)
"""


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "own_nets.py").write_text(NETS)
    return tmp_path / "mine"


def of(place: str, mine: Path, network: str) -> tuple[str, ...]:
    return f"own={mine}", f"model@{place}.model=python", f"{place}.model.name=python:own_nets:{network}", *TINY


def subject_in(ran: Ran, mine: Path, monkeypatch: pytest.MonkeyPatch) -> torch.nn.Module:
    """The network that the job's training left in the store."""
    monkeypatch.syspath_prepend(mine)
    (entry,) = ran.store
    return load_subject(entry["folder"] / "last.safetensors", code=True).model


@pytest.mark.slow
def test_a_block_under_two_names(run: Run, tmp_path: Path, mine: Path, monkeypatch: pytest.MonkeyPatch):
    ran = run(tmp_path / "out", "task=train", *of("recipe", mine, "Alias"))
    assert ran.code == 0 and ran.result["metrics"], ran.text
    model = subject_in(ran, mine, monkeypatch)
    assert model.stages[0] is model.layer1 and model.outer.weight is model.inner.weight


def test_several_outputs_in_training_are_told(run: Run, tmp_path: Path, mine: Path):
    ran = run(tmp_path / "out", "task=train", *of("recipe", mine, "Pair"))
    assert ran.code == 0, ran.text
    event = "network: in training the network answers with several outputs (tuple): the first is trained, and what"
    assert [told.startswith(event) for told in ran.result["events"]].count(True) == 1
    (entry,) = ran.store  # whoever finds the network there is told too
    assert [told.startswith(event.removeprefix("network: ")) for told in entry["notes"]["events"]] == [True]


def finished(ran: Ran) -> dict[str, Any]:
    """The result of the one job that was not refused."""
    (result,) = [result for result in ran.results if result["status"] == "ok"]
    return result


def test_what_cannot_be_trained_is_refused_before(run: Run, tmp_path: Path, mine: Path):
    """The weak network before the strong one is trained."""
    ran = run(tmp_path / "out", "task=patch", *of("weak", mine, "Dictionary"))
    assert ran.code == 1 and not ran.store, ran.text
    assert "model.name=python:own_nets:Dictionary answers two images in training with dict" in ran.text


@pytest.mark.slow
def test_a_network_that_cannot_be_cut_is_refused_before_it_is_trained(run: Run, tmp_path: Path, mine: Path):
    """And with what the refusal advises it is cut: what its attention reads stays whole."""
    pytest.importorskip("torch_pruning")
    line = ("task=modularize", *of("strong", mine, "Attending"))
    refused = run(tmp_path / "out", *line)
    assert refused.code == 1 and not refused.store, refused.text
    assert "strong.model.name=python:own_nets:Attending: slice plan, test S: conv 'b': layer 'encoder" in refused.text
    assert "or keep kernels of convolutions whole by strong.model.exclude=[NAME]" in refused.text
    cut = run(tmp_path / "out", *line, "strong.model.exclude=[b*]")
    assert cut.code == 0, cut.text
    result = finished(cut)
    assert result["config"]["strong"]["model"]["exclude"] == ["b*"] and len(set(map(str, cut.results))) == 2
    assert {entry["kind"] for entry in cut.store} >= {"checkpoint", "modules"}
    assert 0 < result["metrics"]["kernels_retained"]["value"] <= 1


@pytest.mark.slow
@pytest.mark.parametrize("subject", ["extracted", "patched"])
def test_subjects_of_modules_are_refused_before_too(run: Run, tmp_path: Path, mine: Path, subject: str):
    line = ("task=measure", "study=locality", f"subject={subject}", *of("strong", mine, "Attending"))
    refused = run(tmp_path / "out", *line)
    assert refused.code == 1 and "slice plan, test S: conv 'b'" in refused.text and not refused.store
    cut = run(tmp_path / "out", *line, "strong.model.exclude=[b]")
    assert cut.code == 0, cut.text
    assert finished(cut)["metrics"]["macs"]["value"] > 0


@pytest.mark.slow
@pytest.mark.parametrize("experiment", ["modular_vs_monolithic", "add_class"])
def test_a_monolith_without_a_width_is_matched_by_data(run: Run, tmp_path: Path, mine: Path, experiment: str):
    ran = run(tmp_path / "out", f"experiment={experiment}", *of("monolith", mine, "Alias"))
    assert ran.code == 0, ran.text
    told = [event for event in ran.result["events"] if "has no width to set; match=data is taken" in event]
    assert len(told) == 1 and told[0].startswith("match=")
    assert ran.result["row"].get("match", "data") == "data"
