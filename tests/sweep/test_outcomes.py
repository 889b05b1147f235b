"""A sweep fails if a job of it failed, wherever that ran."""

import pytest

from src.sweep import outcomes


@pytest.fixture(autouse=True)
def nothing_yet(monkeypatch):
    monkeypatch.setattr(outcomes, "_outcomes", [])


def outcome(status):
    return {"status": status, "label": "target0", "verdict": "found", "folder": "x"}


def test_no_job_is_no_failure():
    assert outcomes.exit_code() == 0


@pytest.mark.parametrize(("statuses", "code"), [(["ok", "ok"], 0), (["ok", "failed"], 1), (["interrupted"], 1)])
def test_exit_code(statuses, code, tmp_path, capsys):
    outcomes.record(outcome("failed"))  # of this process alone: the sweep's own list counts
    outcomes.finish_sweep([outcome(status) for status in statuses], tmp_path / "overview.html")
    assert outcomes.exit_code() == code
    said = capsys.readouterr().out
    assert f"{len(statuses)} jobs" in said and "overview.html" in said


def test_a_job_is_told_in_one_line(capsys):
    outcomes.tell(outcome("ok"))
    assert capsys.readouterr().out.count("\n") == 1
