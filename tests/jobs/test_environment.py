"""What is recorded of the machine is what a job used."""

from __future__ import annotations

import pytest
import torch

from src.core.running import Trainer
from src.jobs.environment import device_used, environment
from tests.fakes.artifacts import running


def test_the_device_is_the_one_that_computed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: f"GPU of {device}")
    monkeypatch.setattr("platform.processor", lambda: "")
    assert device_used(running(device="cpu")) == "CPU"
    assert device_used(running(device="cuda:1")) == "GPU of cuda:1"
    assert device_used(running(device="auto", trainer=Trainer(2))) == "2 x GPU of None"
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    assert device_used(running(device="auto")) == "CPU"


def test_a_lost_device_is_told_by_its_key(monkeypatch: pytest.MonkeyPatch) -> None:
    def lost(device: str) -> str:
        raise AssertionError("Invalid device id")

    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.cuda, "get_device_name", lost)
    assert device_used(running(device="cuda:7")) == "cuda:7"


def test_the_beginning_of_a_job_starts_no_cuda(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("is_available", "get_device_name", "init"):
        monkeypatch.setattr(torch.cuda, name, lambda *_: pytest.fail("starts CUDA"))
    assert "device" not in environment(running(device="auto"))
