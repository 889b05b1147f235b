import io
import re
from pathlib import Path

from rich.console import Console

from src.jobs.sweep.jobs import Job
from src.jobs.sweep.outcomes import Outcomes
from src.jobs.sweep.watch import Watch


def watched(tmp_path, terminal, expenses=(3.0, 1.0)):
    jobs = [Job((), tmp_path / name, {}, expense) for name, expense in zip("ab", expenses, strict=True)]
    outcomes = Outcomes(tmp_path, "one")
    console = Console(file=io.StringIO(), force_terminal=terminal, width=100, soft_wrap=True)
    with Watch(jobs, outcomes, console):
        for job, status in zip(jobs, ("ok", "failed"), strict=True):
            outcomes.record(
                {"status": status, "label": job.folder.name, "verdict": f"said {job.folder.name}",
                 "folder": str(job.folder), "seconds": 75.0}
            )  # fmt: skip
    return console.file.getvalue()


def test_without_a_terminal_there_is_one_line_per_job(tmp_path):
    lines = watched(tmp_path, terminal=False).splitlines()
    assert len(lines) == 2
    assert lines[0].split()[:3] == ["1/2", "ok", "a"] and "1 min 15 s" in lines[0] and "said a" in lines[0]
    assert lines[1].split()[:3] == ["2/2", "failed", "b"]


def test_on_a_terminal_a_bar_counts_below_the_lines(tmp_path):
    text = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", watched(tmp_path, terminal=True))
    assert "ok       a" in text and "failed   b" in text and "2/2" in text


def test_jobs_without_an_expense_count_alike(tmp_path):
    assert "about" in watched(tmp_path, terminal=False, expenses=(0.0, 0.0)).splitlines()[0]


def test_outcomes_of_other_jobs_are_not_told(tmp_path):
    outcomes = Outcomes(tmp_path, "one")
    console = Console(file=io.StringIO(), width=100)
    with Watch([Job((), Path("mine"), {})], outcomes, console):
        outcomes.record({"status": "ok", "label": "x", "verdict": "", "folder": "other", "seconds": 0.0})
    assert console.file.getvalue() == ""
