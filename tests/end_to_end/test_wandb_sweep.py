"""The sweep of the manual runs by the commands that W&B's own agent builds of it; no server is asked."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from typing import Any

import pytest
import yaml

from src.jobs.command_line import check_command_line
from src.jobs.resolvers import register
from tests.end_to_end.conftest import ROOT, TINY

utils = pytest.importorskip("wandb.sdk.launch.sweeps.utils")


def manual() -> dict[str, Any]:
    text = (ROOT / "src" / "jobs" / "README.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"As `sweep.yaml`:\n\n```yaml\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    return yaml.safe_load(block)


def command_of(sweep: dict[str, Any], values: dict[str, Any]) -> list[str]:
    """What the agent starts for the values that the server sends, see `wandb.wandb_agent.Agent._command_run`."""
    macros = utils.create_sweep_command_args({"args": {name: {"value": value} for name, value in values.items()}})
    macros |= {"interpreter": [sys.executable], "program": [sweep["program"]], "env": ["/usr/bin/env"]}
    command: list[str] = []
    for part in utils.create_sweep_command(list(sweep["command"])):
        macro = re.fullmatch(r"\$\{(\w+)\}", str(part))
        command += macros[macro[1]] if macro else [str(part)]
    return command


def test_the_agents_command_is_one_of_ours():
    register()
    sweep = manual()
    assert (ROOT / sweep["program"]).is_file() and set(sweep["parameters"]) > {"target_class"}
    command = command_of(sweep, {"target_class": 2, "weak.model.width": 0.25, "weak.optim.lr": 0.0012})
    assert command[:3] == [sys.executable, "-m", "src.run"]
    values = check_command_line(command[3:]).values
    assert (values["target_class"], values["weak"]["model"]["width"], values["weak"]["optim"]["lr"]) == (
        2,
        0.25,
        0.0012,
    )


@pytest.mark.slow
def test_the_agents_command_runs_and_leaves_the_metric(tmp_path):
    sweep = manual()
    command = command_of(sweep, {"target_class": 1, "weak.model.width": 0.25, "weak.optim.lr": 0.001})
    command = [word for word in command if word != "logger.mode=online"]  # there is no server
    subprocess.run([*command, *TINY, f"outputs={tmp_path}"], cwd=ROOT, check=True, capture_output=True)
    (path,) = tmp_path.glob("patch_weak/*/result.json")
    assert sweep["metric"]["name"] in json.loads(path.read_text())["metrics"]
