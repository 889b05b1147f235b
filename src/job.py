"""One job from its composed configuration to its result folder."""

from __future__ import annotations

import importlib
import os
import platform
import shlex
import subprocess
import sys
import time
import traceback
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from src import result as results
from src.configuration import identity, options, plain
from src.errors import UserError, suggestion
from src.resolvers import ROOT, register
from src.result import Result
from src.sweep.jobs import is_done
from src.tasks.planning import version_of

if TYPE_CHECKING:
    from omegaconf import DictConfig

PACKAGES = ("torch", "torchvision", "pytorch-lightning", "torchmetrics", "hydra-core", "numpy", "scikit-learn")


def run_job(composed: DictConfig) -> dict[str, Any]:
    """Run the job, whatever comes: its result is on disk and told before this returns.

    Returns:
        The outcome for :mod:`src.sweep.outcomes`: ``status``, ``label``, ``verdict``, ``folder``, ``seconds``.
    """
    from filelock import FileLock
    from hydra.core.hydra_config import HydraConfig

    from src.sweep.outcomes import Outcomes
    from src.sweep.running import record_single

    register()
    hydra_config = HydraConfig.get()
    folder = Path(hydra_config.runtime.output_dir)
    overrides = [line for line in hydra_config.overrides.task if not line.startswith("sweep.id=")]
    try:
        config = plain(composed)
        config["workers"] = _workers(config["workers"], hydra_config.launcher.get("n_jobs", 1))
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        outcome = _outcome("failed", folder.name, str(error), folder)
        record_single(outcome)
        return outcome
    name = config["sweep"]["id"]
    if name is None and not str(hydra_config.mode).endswith("MULTIRUN"):
        outcome = execute(config, folder, command=_command(overrides))
        record_single(outcome)
        return outcome
    outcomes = Outcomes(folder.parent, name) if name else None
    with FileLock(folder / ".lock"):  # another sweep may be at this very job
        if outcomes and not config["sweep"]["rerun"] and is_done(folder, identity(config), version_of(config["task"])):
            outcome = _outcome("ok", config["label"], "done by another sweep", folder)
        elif outcomes and _too_many(outcomes, config["sweep"]["max_failures"]):
            outcome = _outcome("not started", config["label"], "too many have failed (sweep.max_failures)", folder)
        else:
            outcome = execute(config, folder, command=_command(overrides), quiet=True)
    if outcomes:
        outcomes.record(outcome)
    return outcome


def _workers(wanted: int | str, jobs_at_once: int) -> int:
    """Threads of one job, where ``auto`` shares the cores out between the jobs of a launcher."""
    if wanted != "auto":
        return int(wanted)
    cores = os.cpu_count() or 1
    return max(1, cores // (cores if jobs_at_once < 0 else jobs_at_once))


def _too_many(outcomes: Any, most: int | None) -> bool:
    return most is not None and outcomes.failures() >= most


def _outcome(status: str, label: str, verdict: str, folder: Path, seconds: float = 0.0) -> dict[str, Any]:
    return {"status": status, "label": label, "verdict": verdict, "folder": str(folder), "seconds": seconds}


def execute(config: Mapping[str, Any], folder: Path, *, command: str = "", quiet: bool = False) -> dict[str, Any]:
    """Run the task that ``config`` names and write everything it leaves to ``folder``."""
    from src.report.session import Session

    session = Session(config, folder, quiet=quiet)
    start = time.time()
    result = Result(task=config["task"], name=f"{config['name']}/{config['label']}")
    try:
        result = _run_task(config, session)
    except Exception as error:
        result.status, result.error = "failed", _one_line(error, folder)
        if config["traceback"]:
            traceback.print_exc()
    except BaseException:  # Ctrl-C, or whoever ends the process: never to be taken for a result
        result.status, result.error = "interrupted", "interrupted; the same command goes on from here"
        raise
    finally:
        result.name = f"{config['name']}/{config['label']}"
        result.config = dict(config)
        result.identity = identity(config)
        result.version = version_of(config["task"])
        result.environment = {**environment(config), "command": command}
        result.seconds = {**session.seconds, "all": round(time.time() - start, 2)}
        result.events = list(dict.fromkeys([*session.events, *result.events]))
        session.finish(result)
    return _outcome(result.status, config["label"], result.error or result.verdict, folder, result.seconds["all"])


def compare(config: Mapping[str, Any], folders: Sequence[Path], sweep: Path) -> dict[str, Any]:
    """The page over the jobs of a sweep, itself a result: ``<sweep>/overview/``."""
    chosen = {"task": "compare", "label": "overview", "folders": [str(folder) for folder in folders]}
    return execute({**config, **chosen}, sweep / "overview")


def _one_line(error: Exception, folder: Path) -> str:
    """What the user has to know; the traceback of an error that is ours is kept in a file."""
    if isinstance(error, UserError):
        return str(error)
    trace = folder / "traceback.txt"
    results.write_atomically(trace, traceback.format_exc())
    return f"{type(error).__name__}: {' '.join(str(error).split())[:300]} (the whole traceback is in {trace})"


def _run_task(config: Mapping[str, Any], session: Any) -> Result:
    from src.store import Store
    from src.training.determinism import device_of, prepare

    name = config["task"]
    if name not in (*options("task"), "compare"):
        raise UserError(f"task={name}: no such task; {suggestion(str(name), options('task'))}")
    device_of(config["device"])  # said here, for a job that finds everything in the store would not notice
    prepare(threads=config["threads"], seed=config["seed"])
    task = getattr(importlib.import_module(f"src.tasks.{name}"), name)
    found: Result = task(config, Store(Path(config["outputs"]) / "store", session.event), session)
    return found


def environment(config: Mapping[str, Any]) -> dict[str, Any]:
    """What a job ran on: versions, machine, revision. Recorded, never part of its identity."""
    import torch

    return {
        "python": platform.python_version(),
        **{name: version(name) for name in PACKAGES},
        "device": torch.cuda.get_device_name() if torch.cuda.is_available() else platform.processor() or "CPU",
        "cores": os.cpu_count(),
        "threads": config["threads"],
        "workers": config["workers"],
        "system": f"{platform.system()} {platform.machine()}",
        "revision": _revision(),
    }


def _revision() -> str:
    """The commit of the code, with a plus where files differ from it; empty outside a checkout."""
    described = subprocess.run(
        ["git", "-C", str(ROOT), "describe", "--always", "--dirty=+", "--exclude=*"], capture_output=True, text=True
    )
    return described.stdout.strip()


def _command(overrides: list[str]) -> str:
    return shlex.join(["python", "-m", "src.run", *overrides])


def _refuse(message: str, folder: Path) -> dict[str, Any]:
    """The outcome of a job whose configuration is not whole: nothing was run."""
    print(f"error: {message}", file=sys.stderr)
    return {"status": "failed", "label": folder.name, "verdict": message, "folder": str(folder)}
