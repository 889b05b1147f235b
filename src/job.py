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
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from src import result as results
from src.configuration import identity, options, plain
from src.errors import UserError, suggestion
from src.resolvers import ROOT, register
from src.result import Result

if TYPE_CHECKING:
    from omegaconf import DictConfig

PACKAGES = ("torch", "torchvision", "pytorch-lightning", "torchmetrics", "hydra-core", "numpy", "scikit-learn")


def run_job(composed: DictConfig) -> dict[str, Any]:
    """Run the job, whatever comes: its result is on disk and told on the screen before this returns.

    Returns:
        The outcome for :mod:`src.sweep.outcomes`: ``status``, ``label``, ``verdict``, ``folder``.
    """
    from hydra.core.hydra_config import HydraConfig

    from src.sweep import outcomes

    register()
    hydra_config = HydraConfig.get()
    folder = Path(hydra_config.runtime.output_dir)
    sweep = str(hydra_config.mode).endswith("MULTIRUN")
    overrides = list(hydra_config.overrides.task)
    jobs_at_once = hydra_config.launcher.get("n_jobs", 1)
    try:
        config = plain(composed)
        if config["workers"] == "auto":
            cores = os.cpu_count() or 1
            config["workers"] = max(1, cores // (cores if jobs_at_once < 0 else jobs_at_once))
    except UserError as error:
        outcome = _refuse(str(error), folder)
    else:
        outcome = execute(config, folder, command=_command(overrides), quiet=sweep)
    outcomes.record(outcome)
    if sweep:
        outcomes.tell(outcome)
    return outcome


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
        result.status, result.error = "interrupted", "interrupted from the keyboard; the same command goes on from here"
        raise
    finally:
        result.name = f"{config['name']}/{config['label']}"
        result.config = dict(config)
        result.identity = identity(config)
        result.environment = {**environment(config), "command": command}
        result.seconds = {**session.seconds, "all": round(time.time() - start, 2)}
        result.events = list(dict.fromkeys([*session.events, *result.events]))
        session.finish(result)
    return {
        "status": result.status,
        "label": config["label"],
        "verdict": result.error or result.verdict,
        "folder": str(folder),
    }


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
    if name not in options("task"):
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
