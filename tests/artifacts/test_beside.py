"""Work in another process: it is there when it is asked for, and never costs anything."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch

from src.artifacts import beside as module
from src.artifacts.artifacts import Artifacts
from src.artifacts.beside import beside
from src.core.store import Key
from src.training.determinism import seed_everything
from tests.fakes.artifacts import artifacts
from tests.fakes.study import FakeSession

ROOT = Path(__file__).parents[2]
KEY = Key("checkpoint", {"name": "numbers"}, 1)


def numbers(there: Artifacts) -> Any:
    """Draws that depend on the seed alone, from the store or made now."""

    def build(folder: Path) -> dict[str, Any]:
        seed_everything("numbers")
        torch.save(torch.randn(4), folder / "numbers.pt")
        return {"made by": os.getpid()}

    return there.store.make(KEY, build)


@pytest.fixture
def job(tmp_path: Path) -> Artifacts:
    torch.set_num_threads(1)
    session = FakeSession()
    session.folder = tmp_path / "job"
    return artifacts(session, tmp_path / "store", workers=2)


@pytest.fixture(autouse=True)
def small_work_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "WORTH_IT", 1)


def test_another_process_makes_it_with_the_same_bits(job: Artifacts, tmp_path: Path) -> None:
    state = torch.get_rng_state()
    with beside(numbers, 1, job) as there:
        assert torch.equal(torch.get_rng_state(), state)
        there()
    entry = numbers(job)
    assert not entry.built and entry.notes["made by"] != os.getpid()
    alone = artifacts(FakeSession(), tmp_path / "alone")
    bits = [torch.load(one.folder / "numbers.pt", weights_only=True) for one in (entry, numbers(alone))]
    assert torch.equal(*bits)


@pytest.mark.parametrize("change", [{"workers": 1}, {"until": "strong"}])
def test_without_a_core_to_spare_nothing_is_done(job: Artifacts, change: dict[str, Any]) -> None:
    session: Any = job.session
    there = artifacts(session, job.store.root, **{"workers": 2, **change})
    with beside(numbers, 1, there) as wait:
        wait()
    assert numbers(there).built


def test_small_work_is_not_worth_a_process(job: Artifacts) -> None:
    with beside(numbers, 0, job) as wait:
        wait()
    assert numbers(job).built


def test_who_asks_makes_it_where_the_other_process_failed(job: Artifacts) -> None:
    def failing(_: Artifacts) -> None:
        raise RuntimeError("broken")

    with beside(failing, 1, job) as wait:
        wait()
    assert numbers(job).built


def test_it_ends_with_its_block_and_what_it_left_is_made_anew(job: Artifacts) -> None:
    def slow(there: Artifacts) -> None:
        there.store.make(KEY, lambda _: time.sleep(60) or {})

    begin = time.monotonic()
    with pytest.raises(KeyError), beside(slow, 1, job):
        raise KeyError
    assert time.monotonic() - begin < 30
    assert numbers(job).built


PARENT = """
import sys, time
from tests.artifacts import test_beside as tests
from pathlib import Path
tests.module.WORTH_IT = 1
session = tests.FakeSession(); session.folder = Path(sys.argv[1])
job = tests.artifacts(session, Path(sys.argv[1]) / "store", workers=2)
tests.torch.set_num_threads(1)
def slow(there):
    (session.folder / "pid").write_text(str(tests.os.getpid()))
    time.sleep(120)
with tests.beside(slow, 1, job) as wait:
    wait()
"""


def lives(process: int) -> bool:
    try:
        return "State:\tZ" not in Path(f"/proc/{process}/status").read_text()
    except FileNotFoundError:
        return False


@pytest.mark.slow
def test_it_does_not_outlive_a_killed_parent(tmp_path: Path) -> None:
    parent = subprocess.Popen([sys.executable, "-c", PARENT, str(tmp_path)], cwd=ROOT)
    deadline = time.monotonic() + 200
    while not (tmp_path / "pid").exists() or not (tmp_path / "pid").read_text():
        assert time.monotonic() < deadline and parent.poll() is None
        time.sleep(0.05)
    child = int((tmp_path / "pid").read_text())
    parent.kill()
    parent.wait()
    while lives(child):
        assert time.monotonic() < deadline
        time.sleep(0.1)
