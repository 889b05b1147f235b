"""Workspaces and reports are files first; what cannot be published is told and costs nothing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from src.core.errors import UserError
from src.core.estimate import Estimate
from src.core.result import Opening, Panel, Result, save
from src.core.running import Logger
from src.core.store import Key, Store
from src.jobs import needs
from src.jobs.needs import check_needs
from src.tasks import dashboard as task
from src.tasks.options import Dashboard
from tests.fakes.artifacts import artifacts
from tests.fakes.study import FakeSession

pytest.importorskip("wandb_workspaces")


@pytest.fixture
def outputs(tmp_path: Path) -> Path:
    """Two jobs of a sweep that share a network, and its overview."""
    entry = Store(tmp_path / "store").make(Key("checkpoint", {}), lambda folder: (folder / "x").write_text("x") and {})
    for seed in (0, 1):
        job = Result("patch", f"patch_weak/seed{seed}", config={"seed": seed}, uses=[entry.digest])
        job.metrics = {"f1_patched": Estimate(0.8), "f1_weak": Estimate(0.5)}
        save(job, tmp_path / "patch_weak" / f"seed{seed}")
    overview = Result("compare", "patch_weak", verdict="2 jobs (success: 2); it helps")
    overview.opening = Opening("Does a patch help?", "A module answers beside a weak network.")
    overview.add(Panel("", "claims", {"claim": ["It helps | at least a bit"], "verdict": ["supported"]}))
    overview.add(Panel("", "jobs", {"job": ["a", "b"], "f1_patched": [0.81234567, None]}, "One row per job."))
    save(overview, tmp_path / "patch_weak" / "overview")
    return tmp_path


def run(outputs: Path, experiments: tuple[str, ...] | None, logger: Logger) -> tuple[Result, Path]:
    session = FakeSession(outputs / "dashboard" / "seed0")
    given = artifacts(session, outputs / "store", outputs=str(outputs), logger=logger)
    return task.dashboard(Dashboard(0, experiments), given), session.folder


def test_files_are_written_without_a_network(outputs: Path, monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "offline")
    result, folder = run(outputs, ("patch_weak", "robustness"), Logger("wandb", "mine", mode="auto"))
    assert sorted(path.stem for path in (folder / "workspaces").iterdir()) == ["patch_weak", "robustness"]
    plain = json.loads((folder / "workspaces" / "patch_weak.json").read_text())
    assert plain["project"] == "mine" and "network-" in json.dumps(plain) and "f1_patched" in json.dumps(plain)
    text = (folder / "reports" / "patch_weak.md").read_text()
    assert text.startswith("# Does a patch help?\n") and "**2 jobs (success: 2); it helps**" in text
    assert "| It helps \\| at least a bit | supported |" in text and "| a | 0.8123 |" in text and "| b |  |" in text
    assert result.metrics["workspaces"].value == 2 and result.metrics["reports"].value == 1
    assert "wandb login" in result.verdict and not result.events
    assert str(outputs) not in text + json.dumps(plain)


def test_online_they_are_published_and_a_failure_is_told(outputs: Path, monkeypatch):
    monkeypatch.setattr(task, "choose_mode", lambda wish: ("online", ""))
    monkeypatch.setattr(task, "publish", lambda view: f"address/{view.project}")
    monkeypatch.setattr(task, "publish_report", lambda name, text, view: 1 / 0)
    result, folder = run(outputs, ("patch_weak",), Logger("wandb", "mine"))
    assert result.tables["workspaces"]["address"] == ["address/mine"]
    (event,) = result.events
    assert event.startswith("W&B: report patch_weak could not be published (ZeroDivisionError")
    assert (folder / "reports" / "patch_weak.md").is_file()


def test_what_is_missing_is_one_line(outputs: Path, monkeypatch):
    with pytest.raises(UserError, match="experiments=nothing: no such experiment"):
        run(outputs, ("nothing",), Logger("csv"))
    monkeypatch.setattr(needs, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"task=dashboard: .* run uv sync --extra workspaces"):
        check_needs({"task": "dashboard", "device": "cpu"}, here=False)
