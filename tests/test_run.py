"""The entry lists what there is without loading anything heavy."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import hydra
import pytest

from src.core.errors import UserError
from src.core.paths import CONF, ROOT
from src.jobs import asking, command_line, launching
from src.run import main

FILES = [path for group in ("experiment", "task") for path in sorted((CONF / group).glob("*.yaml"))]
HEAVY = ("torch", "hydra", "omegaconf", "pytorch_lightning", "wandb", "plotly", "numpy", "pandas")

#: Runs the entry as `python -m src.run` does, and tells afterwards which of the packages were imported.
ENTRY = f"""
import runpy, sys
sys.argv[0] = "src.run"
try:
    runpy.run_module("src.run", run_name="__main__", alter_sys=True)
except SystemExit as end:
    print(end.code, *[name for name in {HEAVY} if name in sys.modules], file=sys.stderr)
"""


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_every_experiment_and_task_is_listed_with_one_line(path: Path):
    expected = f"  {f'{path.stem} ':<25}{asking.first_comment(path)}"
    (line,) = [line for line in asking.overview().splitlines() if line == expected]
    comment = line.split(maxsplit=1)[1]
    assert comment and not comment.startswith("@") and line == line.rstrip() and len(line) <= 120


def test_experiments_and_tasks_stand_under_their_own_title():
    experiments, tasks = asking.overview().split("experiments (experiment=...)")[1].split("tasks (task=...)")
    for path in FILES:
        section = experiments if path.parent.name == "experiment" else tasks
        assert any(line.split()[:1] == [path.stem] for line in section.splitlines())


def test_the_first_comment_is_not_the_package_line(tmp_path: Path):
    path = tmp_path / "a.yaml"
    path.write_text("# @package _global_\n# What it does\n# and more\nx: 1\n")
    assert asking.first_comment(path) == "What it does"
    path.write_text("x: 1\n")
    assert asking.first_comment(path) == ""


@pytest.mark.parametrize("arguments", [[], ["--help"], ["-h"]])
def test_help_imports_nothing_heavy(arguments: list[str]):
    told = subprocess.run([sys.executable, "-c", ENTRY, *arguments], cwd=ROOT, capture_output=True, text=True)
    assert told.stdout.strip() == asking.overview().strip()
    assert told.stderr.split() == ["0"]


def test_the_entry_is_also_a_script(tmp_path: Path):
    """Python looks into the script's folder first, where `statistics` would hide the standard library's."""
    command = [sys.executable, ROOT / "src" / "run.py", "--cfg", "job", "experiment=patch_weak", "seed=5"]
    ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert ran.returncode == 0 and "\nseed: 5\n" in ran.stdout, ran.stderr


def test_of_a_sweep_the_first_job_is_shown():
    command = [sys.executable, "-m", "src.run", "-m", "experiment=patch_weak", "seed=5,6", "--cfg", "job"]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert ran.returncode == 0 and "\nseed: 5\n" in ran.stdout, ran.stderr


@pytest.mark.parametrize("arguments", [["--help"], ["experiment=patch_weak", "--help"]])
def test_a_reader_who_has_seen_enough_is_no_error(arguments: list[str]):
    command = [sys.executable, "-m", "src.run", *arguments]
    ran = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert ran.stdout and ran.stderr
    ran.stdout.close()
    assert ran.stderr.read() == "" and ran.wait() == -signal.SIGPIPE


def test_a_misspelt_experiment_ends_in_one_line_and_without_torch():
    command = [sys.executable, "-c", ENTRY, "experiment=patch_week"]
    told = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    start = 0 if hydra.__version__.startswith("1.3.") else -2  # a plugin of another package is not ready for 1.4
    message, end = told.stderr.splitlines()[start:]
    assert message == "error: experiment=patch_week: no experiment 'patch_week'; did you mean 'patch_weak'?"
    assert told.stdout == ""
    code, *imported = end.split()
    assert code == "2" and not {"torch", "pytorch_lightning", "wandb", "plotly"} & set(imported)


@pytest.mark.parametrize("mode", [[], ["-m"]])
def test_an_empty_variable_is_as_none(mode: list[str], monkeypatch: pytest.MonkeyPatch):
    asked = []
    monkeypatch.setenv("CNN_ANATOMY_OUTPUTS", "")
    monkeypatch.setattr("src.jobs.launching.launch", lambda line: asked.append(line.composed.outputs) or [])
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    assert main([*mode, "task=train", "debug=tiny"]) == 0
    assert asked == [f"{ROOT}/outputs"]


def test_ctrl_c_among_the_imports_is_one_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    monkeypatch.setattr(asking, "overview", interrupted)
    assert main([]) == 130
    assert capsys.readouterr().err == "interrupted; the same command goes on from here\n"
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_ctrl_c_that_composing_swallows_starts_nothing(monkeypatch: pytest.MonkeyPatch):
    """As Python does where it comes in a callback of the garbage collector."""

    def swallow(argv: list[str]) -> None:
        with suppress(KeyboardInterrupt):
            interrupted()

    monkeypatch.setattr(command_line, "check_command_line", swallow)
    monkeypatch.setattr(launching, "launch", lambda line: pytest.fail("started"))
    monkeypatch.setattr(launching, "check_launcher", lambda overrides: None)
    assert main(["experiment=patch_weak"]) == 130


def test_ctrl_c_that_becomes_an_error_is_none(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    """As Hydra makes one of it."""

    def wrap(argv: list[str]) -> None:
        try:
            interrupted()
        except KeyboardInterrupt:
            raise UserError("ConfigCompositionException") from None

    monkeypatch.setattr(command_line, "check_command_line", wrap)
    monkeypatch.setattr(launching, "check_launcher", lambda overrides: None)
    assert main(["experiment=patch_weak"]) == 130
    assert "error" not in capsys.readouterr().err


def interrupted() -> None:
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(5)  # Python's handler runs between two of its steps


def test_a_sweep_is_looked_at_and_many_jobs_are_refused_before_anything_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    line = ["-m", "experiment=patch_weak", "debug=tiny", f"outputs={tmp_path}", "target_class=range(10)", "seed=0,1,2"]
    assert main([*line, "sweep.dry_run=true", "sweep.where=target_class < 7 and seed != 1", "sweep.sample=7"]) == 0
    told = capsys.readouterr().out
    assert told.startswith("7 of the grid's 30 jobs are meant") and "7 jobs would run, 0 are done" in told
    assert all(f"target{target}-seed" in told for target in range(7)), "every value of every key"
    assert main([*line, "sweep.confirm_above=5", "sweep.where=target_class < 2"]) == 2
    assert "6 jobs would be started" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_what_is_about_a_sweep_is_refused_for_one_job():
    with pytest.raises(UserError, match=r"^sweep.dry_run=true is about the jobs of a sweep; add -m"):
        command_line.check_command_line(["experiment=patch_weak", "sweep.dry_run=true"])
