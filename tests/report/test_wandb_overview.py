"""A sweep's overview is a run of Weights & Biases as a job is, offline like the others."""

from __future__ import annotations

from pathlib import Path

import pytest

from src.core.result import Panel, Result
from src.core.running import Logger, Report
from src.report.session import Session
from tests.fakes.artifacts import running
from tests.report.test_wandb_view import nobody as nobody
from tests.report.test_wandb_view import read_back


def test_the_overview_is_a_run_with_its_table_its_claims_and_its_page(tmp_path: Path, nobody: None):
    pytest.importorskip("wandb")
    settings = running(name="patch_weak", logger=Logger("wandb", "p", mode="offline"), report=Report("page"))
    session = Session({"task": "compare"}, settings, tmp_path / "overview")
    result = Result("compare", "patch_weak", verdict="2 jobs")
    judged = {"claim": ["it helps"], "verdict": ["undecided"]}
    result.add(Panel("", "jobs", {"job": ["a", "b"], "seed": [0, 1]}), Panel("", "claims", judged))
    session.finish(result)
    assert not [event for event in result.events if "could not" in event]
    run, _, summary, history = read_back(tmp_path / "overview")
    assert (run.run_group, run.job_type) == ("patch_weak", "compare") and summary["verdict"] == "2 jobs"
    logged = {name: value for row in history for name, value in row.items()}
    assert logged["tables/jobs/nrows"] == 2 and logged["tables/claims/nrows"] == 1
    assert logged["overview/page/_type"] == "html-file"
    (page,) = (tmp_path / "overview" / "wandb").rglob("*.html")
    assert page.read_text() == (tmp_path / "overview" / "page.html").read_text()
