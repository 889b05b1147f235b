"""A job as Hydra launches it, in whatever process: alone or in a sweep, with its share of cores and GPUs."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from src.core.configuration import identity
from src.core.errors import UserError, full_disk
from src.core.running import Running
from src.jobs.border import plain, running_of
from src.jobs.job import execute
from src.jobs.resolvers import register
from src.jobs.sweep.jobs import is_done
from src.jobs.sweep.locking import alone
from src.jobs.sweep.outcomes import Outcomes, outcome, refused
from src.tasks.versions import version_of

if TYPE_CHECKING:
    from omegaconf import DictConfig


def run_job(composed: DictConfig) -> dict[str, Any]:
    """Run the job, whatever comes: its result is on disk and told before this returns.

    Returns:
        The outcome for :mod:`src.jobs.sweep.outcomes`: ``status``, ``label``, ``verdict``, ``folder``, ``seconds``.
    """
    from hydra.core.hydra_config import HydraConfig

    from src.core.orphans import end_with_parent
    from src.jobs.sweep.running import record_single

    register()
    end_with_parent()
    hydra_config = HydraConfig.get()
    folder = Path(hydra_config.runtime.output_dir)
    overrides = [line for line in hydra_config.overrides.task if not line.startswith("sweep.id=")]
    try:
        config = plain(composed)
        config["workers"] = _workers(config["workers"], hydra_config.launcher)
        config["jobs_at_once"] = _jobs_at_once(config["jobs_at_once"], hydra_config.launcher)
    except UserError as error:
        found = refused(str(error), folder)
        record_single(found)
        return found
    running = running_of(config)
    single = running.sweep.id is None and not str(hydra_config.mode).endswith("MULTIRUN")
    if not single:
        config["device"] = _device(running, hydra_config.launcher, hydra_config.job.num)
    try:
        found = _run_single(config, folder, overrides) if single else _run_in_sweep(config, running, folder, overrides)
    except OSError as error:  # not even a lock or a result can be written
        found = refused(full_disk(error, folder) or str(error), folder)
    if single:
        record_single(found)
    return found


def _run_single(config: Mapping[str, Any], folder: Path, overrides: list[str]) -> dict[str, Any]:
    with alone(folder, say=True):
        return execute(config, folder, command=_command(overrides))


def _run_in_sweep(config: Mapping[str, Any], running: Running, folder: Path, overrides: list[str]) -> dict[str, Any]:
    sweep = running.sweep
    outcomes = Outcomes(folder.parent, sweep.id) if sweep.id else None
    with alone(folder):
        if outcomes and not sweep.rerun and is_done(folder, identity(config), version_of(config)):
            found = outcome("ok", running.label, "done by another sweep", folder)
        elif outcomes and _too_many(outcomes, sweep.max_failures):
            found = outcome("not started", running.label, "too many have failed (sweep.max_failures)", folder)
        else:
            if outcomes:
                outcomes.begin(folder)
            # which sweep ran it is nothing that a job found
            own = {**config, "sweep": {**config["sweep"], "id": None}}
            found = execute(own, folder, command=_command(overrides), quiet=True)
    if outcomes:
        outcomes.record(found)
    return found


def _workers(wanted: int | str, launcher: Mapping[str, Any]) -> int:
    """Threads of one job, where ``auto`` is its share of the cores under this launcher."""
    if wanted != "auto":
        return int(wanted)
    given = launcher.get("cpus_per_task") or launcher.get("ray", {}).get("remote", {}).get("num_cpus")
    if given:
        return max(1, int(given))
    cores = os.cpu_count() or 1
    jobs_at_once = launcher.get("n_jobs", 1)
    return max(1, cores // (cores if jobs_at_once < 0 else jobs_at_once))


def _jobs_at_once(wanted: int | str, launcher: Mapping[str, Any]) -> int:
    """Jobs that share the machine's memory, or one GPU's, under this launcher."""
    if wanted != "auto":
        return int(wanted)
    cores = os.cpu_count() or 1
    remote = launcher.get("ray", {}).get("remote", {})
    if remote.get("num_gpus"):
        return max(1, round(1 / remote["num_gpus"]))
    if remote:
        return max(1, int(cores // (remote.get("num_cpus") or 1)))
    jobs = launcher.get("n_jobs", 1)
    jobs = cores if jobs < 0 else jobs
    if jobs == 1:
        return 1
    import torch

    return -(-jobs // max(1, torch.cuda.device_count()))


def _device(running: Running, launcher: Mapping[str, Any], number: int) -> str:
    """Where a job of a sweep runs: ``auto`` deals the GPUs that its process sees out to jobs that run at once."""
    alone = launcher["_target_"].endswith("BasicLauncher") or (
        running.trainer is not None and running.trainer.devices > 1
    )
    if running.device != "auto" or alone:
        return running.device
    import torch

    count = torch.cuda.device_count()
    return f"cuda:{number % count}" if count > 1 else "auto"


def _too_many(outcomes: Any, most: int | None) -> bool:
    return most is not None and outcomes.failures() >= most


def _command(overrides: list[str]) -> str:
    return shlex.join(["python", "-m", "src.run", *overrides])
