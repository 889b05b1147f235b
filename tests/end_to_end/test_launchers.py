"""The same sweep on every launcher: the same files in the same place, with the same bits; preempted jobs run again."""

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from omegaconf import OmegaConf

from src.core.running import Trainer
from src.jobs import launching, shares
from src.jobs.composing import VERSION_BASE
from src.jobs.resolvers import register
from src.run import main
from tests.end_to_end.conftest import ROOT, TINY, Ran
from tests.end_to_end.kills import differences, numbers
from tests.fakes.artifacts import running

# 15 epochs are long enough to be interrupted
LONGER = ("recipe.training.epochs=15", "shrink.at_most.epochs=15")
SWEEP = ("-m", "experiment=layer_widths", "variant=192,150", *TINY, *LONGER)


def needs(extra):
    missing = not find_spec(f"hydra_plugins.{launching.EXTRAS[extra]}")
    return pytest.mark.skipif(missing, reason=f"the extra is not installed: uv sync --extra {extra}")


def check(ran, reference):
    assert ran.code == 0, ran.text
    assert not differences(numbers(ran), numbers(reference))
    assert [line for line in ran.text.splitlines() if "jobs: " in line] == ["2 jobs: 2 ended, 0 failed"]
    assert "Warning" not in ran.text and "Traceback" not in ran.text, ran.text


@pytest.fixture(scope="module")
def basic(run, tmp_path_factory):
    ran = run(tmp_path_factory.mktemp("basic"), *SWEEP, "hydra/launcher=basic")
    assert ran.code == 0 and len(ran.results) == 2, ran.text
    assert all(len(result["metrics"]) == 3 and result["status"] == "ok" for result in ran.results)
    return ran


@pytest.mark.slow
def test_cores(run, basic, tmp_path):
    check(run(tmp_path, *SWEEP, "hydra/launcher=cores"), basic)


def under_uv(outputs, *argv):
    """Ray looks at the processes above it for `uv run`, and would then work on a copy of the project."""
    uv = shutil.which("uv") or shutil.which("uv", path=ROOT / ".uv" / "bin")
    if uv is None or Path(sys.prefix) != ROOT / ".venv":
        pytest.skip("uv is not installed, or the tests do not run in its environment")
    environment = {**os.environ, "CNN_ANATOMY_OUTPUTS": str(outputs), "COLUMNS": "1000"}
    environment.pop("RAY_ENABLE_UV_RUN_RUNTIME_ENV", None)
    command = [uv, "run", "--no-sync", "python", "-m", "src.run", *argv]
    ran = subprocess.run(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    return Ran(ran.returncode, ran.stdout, outputs)


@pytest.mark.slow
@needs("ray")
def test_ray_under_uv_run(basic, tmp_path):
    check(under_uv(tmp_path, *SWEEP, "hydra/launcher=ray", "hydra.launcher.ray.init.num_cpus=2"), basic)


@pytest.mark.slow
@needs("ray")
def test_ray_shares_one_strong_network(run, tmp_path):
    argv = ("-m", "experiment=patch_weak", "target_class=0,1", *TINY)
    first = run(tmp_path / "basic", *argv, "hydra/launcher=basic")
    second = under_uv(tmp_path / "ray", *argv, "hydra/launcher=ray", "hydra.launcher.ray.init.num_cpus=2")
    assert first.code == second.code == 0, second.text
    assert len(first.results) == 2 and not differences(numbers(first), numbers(second))


@needs("slurm")
def test_a_preempted_job_is_requeued_and_goes_on(run, basic, tmp_path):
    """submitit's local executor stands in for Slurm: the same launcher, the same signals, the same handlers."""
    epochs = []
    striker = threading.Thread(target=preempt_one, args=(tmp_path, epochs), daemon=True)
    striker.start()
    ran = run(tmp_path, *SWEEP, "hydra/launcher=submitit_local")
    striker.join(timeout=5)
    check(ran, basic)
    log = "".join(path.read_text() for path in tmp_path.rglob(".submitit/*/*_log.out"))
    assert log.count("Bypassing signal SIGTERM") == 1, "Lightning, or we, took the signal from submitit"
    assert log.count("Requeued job") == 1
    assert log.count("Job completed successfully") == 2
    assert epochs == sorted(epochs) and epochs[0] < epochs[-1] == 15, "it began anew"


def preempt_one(outputs, epochs):
    """Send one job in the midst of its training what Slurm sends, and note how many epochs it has from then on."""
    while not (found := list(outputs.glob("store/checkpoint/*.work/resume.ckpt"))):
        time.sleep(0.01)
    work = found[0].parent
    entry = work.with_name(work.name.split(".")[0])
    (owner,) = owners(entry.with_suffix(".lock"))
    epochs.append(count(entry))
    os.kill(owner, signal.SIGTERM)
    time.sleep(0.02)
    os.kill(owner, signal.SIGUSR2)
    while not entry.exists():
        epochs.append(count(entry) or epochs[-1])
        time.sleep(0.01)
    epochs.append(count(entry))


def count(entry):
    """How many epochs the history of a training has, in the store or in the work folder of whoever is at it."""
    for path in entry.parent.glob(f"{entry.name}*/history.json"):
        with suppress(FileNotFoundError):  # another is at it, or it has ended
            return len(json.loads(path.read_text()))
    return 0


def owners(lock):
    """The processes that hold the file open."""
    found = []
    for opened in Path("/proc").glob("[0-9]*/fd/*"):
        try:
            if os.readlink(opened) == str(lock):
                found.append(int(opened.parts[2]))
        except OSError:  # ended meanwhile, or not ours
            continue
    return found


@pytest.fixture
def composed():
    register()
    GlobalHydra.instance().clear()
    with initialize_config_dir(config_dir=str(ROOT / "conf"), **VERSION_BASE):
        yield lambda *lines: compose("config", ["experiment=layer_widths", *lines], return_hydra_config=True)


@pytest.mark.filterwarnings(r"ignore:\s*'hydra/launcher/ray' is validated")
def test_keys_of_ray_need_no_plus(composed):
    given = {"init.address": "auto", "init.num_cpus": "null", "init.num_gpus": "null", "remote.num_gpus": "0.25"}
    lines = [f"hydra.launcher.ray.{key}={value}" for key, value in given.items()]
    ray = composed("hydra/launcher=ray", *lines).hydra.launcher.ray
    assert ray.init.address == "auto" and ray.remote == {**ray.remote, "num_cpus": 1, "num_gpus": 0.25}


@needs("slurm")
def test_slurm_is_asked_for_what_the_keys_say(composed, tmp_path, monkeypatch):
    import submitit
    from hydra_plugins.hydra_submitit_launcher.submitit_launcher import SlurmLauncher
    from submitit.slurm.slurm import _make_sbatch_string

    srun = tmp_path / "srun"
    srun.write_text("#!/bin/sh\n")
    srun.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    sent = []
    monkeypatch.setattr(submitit.AutoExecutor, "map_array", lambda executor, *_: sent.append(executor._executor) or [])
    keys = composed("hydra/launcher=slurm", "hydra.launcher.partition=long", "hydra.launcher.timeout_min=90").hydra
    given = {key: keys.launcher[key] for key in keys.launcher if key not in ("_target_", "submitit_folder", "name")}
    launcher = SlurmLauncher(**given, name="layer_widths", submitit_folder=str(tmp_path / "%j"))
    launcher.config = OmegaConf.create({"hydra": {"sweep": {"dir": str(tmp_path)}}})
    launcher.launch([["variant=1"]] * 40, 0)
    (executor,) = sent
    assert executor.max_num_timeout == 20, "requeued, not given up, when its time is up"
    text = _make_sbatch_string("x", executor.folder, map_count=40, **executor.parameters)
    for asked in ("partition=long", "time=90", "signal=USR2@120", "array=0-39%32", "gpus-per-node=1", "mem=16GB"):
        assert f"#SBATCH --{asked}\n" in text, text


@pytest.mark.parametrize(
    ("launcher", "workers"),
    [
        ({"n_jobs": -1}, 1),
        ({"n_jobs": 4}, 2),
        ({"cpus_per_task": 3}, 3),
        ({"cpus_per_task": None}, 8),
        ({"ray": {"remote": {"num_cpus": 0.5}}}, 1),
        ({}, 8),
    ],
)
def test_a_job_evaluates_on_its_share_of_the_cores(launcher, workers, monkeypatch):
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    assert shares.workers_of("auto", launcher) == workers
    assert shares.workers_of(5, launcher) == 5


def test_jobs_that_run_at_once_take_the_gpus_in_turn(monkeypatch):
    cores, basic = ({"_target_": f"launchers.{name}"} for name in ("JoblibLauncher", "BasicLauncher"))
    auto = running(device="auto", trainer=Trainer(1))
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert [shares.device_of(auto, cores, number) for number in range(3)] == ["cuda:0", "cuda:1", "cuda:0"]
    assert shares.device_of(running(device="auto"), cores, 1) == "cuda:1"
    assert shares.device_of(auto, basic, 1) == "auto"
    assert shares.device_of(replace(auto, trainer=Trainer(2)), cores, 1) == "auto"
    assert shares.device_of(replace(auto, device="cpu"), cores, 1) == "cpu"
    for count in (0, 1):  # one: also what a job sees whose scheduler has chosen its GPU
        monkeypatch.setattr(torch.cuda, "device_count", lambda count=count: count)
        assert shares.device_of(auto, cores, 1) == "auto"


@needs("slurm")
def test_a_machine_without_slurm_is_told_before_anything_runs(monkeypatch, capsys):
    monkeypatch.setattr(launching.shutil, "which", lambda name: None)
    assert main(["-m", "experiment=layer_widths", "hydra/launcher=slurm", "debug=tiny"]) == 2
    said = capsys.readouterr()
    assert "this machine has no Slurm" in said.err and not said.out


@pytest.mark.parametrize("extra", ["ray", "slurm"])
def test_a_launcher_that_is_not_installed_says_how_to_get_it(extra, monkeypatch, capsys):
    monkeypatch.setattr(launching, "find_spec", lambda name: None)
    assert main(["-m", "experiment=layer_widths", f"hydra/launcher={extra}", "debug=tiny"]) == 2
    assert f"uv sync --extra {extra}" in capsys.readouterr().err
    launching.check_launcher(["hydra/launcher=cores"])
