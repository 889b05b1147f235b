"""A command line from Python."""

from __future__ import annotations

from pathlib import Path

import pytest

from src.core.errors import UserError
from src.core.estimate import Estimate
from src.core.result import Result, save
from src.jobs import ran
from src.run import run


def test_a_sweep_is_looked_at_from_python_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    looked = run("-m", "experiment=patch_weak", "debug=tiny", f"outputs={tmp_path}", "seed=0,1", "sweep.dry_run=true")
    assert "2 jobs would run" in capsys.readouterr().out
    assert (
        looked.folder == tmp_path / "patch_weak" and looked.page == tmp_path / "patch_weak" / "overview" / "page.html"
    )
    assert repr(looked).startswith("nothing ran")


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (["experiment=patch_week"], "did you mean 'patch_weak'"),
        (["experiment=patch_weak", "seed=1.5"], "seed=1.5: allowed is a whole number"),
        (["experiment=patch_weak", "--help"], "python -m src.run"),
    ],
)
def test_what_is_refused_is_an_error_of_one_line(lines: list[str], said: str):
    with pytest.raises(UserError, match=said) as refusal:
        run(*lines)
    assert "\n" not in str(refusal.value)


def test_what_a_job_left_is_an_object(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    config = {"task": "train", "name": "train", "seed": 0}
    result = Result("train", "train/seed0", verdict="it trained", config=config, tables={"methods": {"f1": [0.5, 0.6]}})
    result.metrics = {"accuracy": Estimate(0.9)}
    save(result, tmp_path)
    ended = {"status": "ok", "folder": str(tmp_path), "verdict": "it trained"}
    monkeypatch.setattr(ran, "launch", lambda line: [ended])
    job = run("task=train", "debug=tiny", f"outputs={tmp_path / 'out'}")
    assert job.folder == tmp_path and job.page == tmp_path / "page.html" and repr(job).startswith("it trained\n")
    assert list(job.findings["methods"]["f1"]) == [0.5, 0.6] and job.result.metrics["accuracy"].value == 0.9
    assert job.frame[["metric", "value"]].to_numpy().tolist() == [["accuracy", 0.9]]
    monkeypatch.setattr(ran, "launch", lambda line: [{**ended, "status": "failed", "verdict": "out of memory"}])
    with pytest.raises(UserError, match="out of memory"):
        run("task=train", "debug=tiny", f"outputs={tmp_path / 'out'}")
