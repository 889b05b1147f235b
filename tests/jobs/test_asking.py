"""What can be asked: the keys of an experiment, and how a command line goes on, by the shell's own functions."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from src.core.errors import UserError
from src.core.paths import CONF, ROOT
from src.jobs import asking
from src.jobs.command_line import check_command_line

EXPERIMENTS = [path.stem for path in sorted((CONF / "experiment").glob("*.yaml"))]

#: Completes a line as bash does at the tab key: its words, what stands before the cursor, then the function.
TAB = """
eval "$({script})"
COMP_LINE="{line}" COMP_POINT=${{#COMP_LINE}}
COMP_WORDS=({words}) COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1))
{function} > /dev/null
printf '%s\\n' "${{COMPREPLY[@]}}"
"""


def completed(tmp_path: Path, script: str, line: str, function: str) -> list[str]:
    (tmp_path / "python").symlink_to(sys.executable)
    uv = tmp_path / "uv"
    uv.write_text('#!/bin/sh\nshift\nexec "$@"\n')  # `uv run COMMAND` in an environment that is there already
    uv.chmod(0o755)
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}", "PYTHONPATH": ":".join(sys.path)}
    words = line.split(" ") if function == "hydra_bash_completion" else line.replace("=", " = ").split(" ")
    text = TAB.format(script=script, line=line, words=" ".join(f'"{word}"' for word in words), function=function)
    ran = subprocess.run(["bash", "-c", text], cwd=ROOT, env=environment, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout.split()


@pytest.mark.skipif(not shutil.which("bash"), reason="no bash")
@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("python -m src.run -m experiment=patch_", [name for name in EXPERIMENTS if name.startswith("patch_")]),
        ("python src/run.py experiment=patch_weak strong.training.epo", ["strong.training.epochs="]),
        ("uv run python -m src.run experiment=patch_weak strong.training.epo", ["strong.training.epochs="]),
        ("uv run pytest -m sl", []),
    ],
)
def test_our_script_completes_its_commands(tmp_path: Path, line: str, expected: list[str]):
    assert completed(tmp_path, "python -m src.run --completion bash", line, "_cnn_anatomy") == expected


@pytest.mark.skipif(not shutil.which("bash"), reason="no bash")
def test_hydras_script_completes_the_file(tmp_path: Path):
    script = "python src/run.py -sc install=bash"
    words = completed(tmp_path, script, "python src/run.py experiment=modulari", "hydra_bash_completion")
    assert words == ["experiment=modularize"]


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_help_on_an_experiment_shows_the_keys_that_matter(name: str):
    text = asking.keys_of_interest(check_command_line([f"experiment={name}", "--help"]))
    first, _, *rows = text.splitlines()
    assert first == f"{name}: {asking.first_comment(CONF / 'experiment' / f'{name}.yaml')}"
    keys = [row.split("=")[0].strip(' "') for row in rows[: rows.index("")]]
    assert 3 <= len(keys) <= asking.MOST and "seed" in keys and len(set(keys)) == len(keys)
    assert "--cfg job" in rows[-1]


def test_help_has_comments_values_and_what_is_allowed():
    text = asking.keys_of_interest(check_command_line(["experiment=patch_weak", "target_class=3", "--help"]))
    rows = {row.split("=")[0].strip(' "'): row for row in text.splitlines() if row.startswith("  ")}
    assert "=3 " in rows["target_class"] and "number or name in the strong network's classes" in rows["target_class"]
    assert "(a whole number from 1)" in rows["random_draws"]
    for row in ("calibration", "recipe@weak"):
        assert row in rows
    plain = yaml.safe_load((CONF / "experiment" / "patch_weak.yaml").read_text())
    assert not set(plain) & set(rows) - {"target_class"}
    assert "a sweep by itself, over variant" in asking.keys_of_interest(
        check_command_line(["experiment=layer_widths", "--help"])
    )


def test_versions_are_the_projects_and_its_libraries():
    assert re.fullmatch(
        r"cnn-anatomy \d+\.\d+\.\d+ \(torch \S+, pytorch-lightning \S+, hydra-core \S+\)", asking.version()
    )


def test_another_shell_is_refused():
    with pytest.raises(UserError, match="--completion fish: there is one for bash"):
        asking.completion("fish")


def test_help_on_a_network_shows_its_own_keys():
    text = asking.keys_of_interest(check_command_line(["task=measure", "subject=torchvision", "--help"]))
    assert "subject.model=resnet18" in text and "subject.weights=DEFAULT" in text
