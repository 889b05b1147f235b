"""What a job gets of the machine that it shares with the other jobs of its sweep, under the launcher that runs them."""

import os
from collections.abc import Mapping
from typing import Any

from src.core.running import Running

Launcher = Mapping[str, Any]


def side_by_side(launcher: Launcher) -> int:
    """Jobs that this machine runs at once; 0 where they run elsewhere, as many as there is room for."""
    if launcher.get("ray") or "cpus_per_task" in launcher:
        return 0
    jobs = int(launcher.get("n_jobs") or 1)
    return (os.cpu_count() or 1) if jobs < 0 else jobs


def workers_of(wanted: int | str, launcher: Launcher) -> int:
    """Threads of one job, where ``auto`` is its share of the cores."""
    if wanted != "auto":
        return int(wanted)
    given = launcher.get("cpus_per_task") or launcher.get("ray", {}).get("remote", {}).get("num_cpus")
    if given:
        return max(1, int(given))
    cores = os.cpu_count() or 1
    jobs_at_once = launcher.get("n_jobs", 1)
    return max(1, cores // (cores if jobs_at_once < 0 else jobs_at_once))


def jobs_at_once_of(wanted: int | str, launcher: Launcher) -> int:
    """Jobs that share the machine's memory, or one GPU's."""
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


def device_of(running: Running, launcher: Launcher, number: int) -> str:
    """Where job ``number`` runs: ``auto`` deals the GPUs that its process sees out to jobs that run at once."""
    several = running.trainer is not None and running.trainer.devices > 1
    if running.device != "auto" or several or launcher["_target_"].endswith("BasicLauncher"):
        return running.device
    import torch

    count = torch.cuda.device_count()
    return f"cuda:{number % count}" if count > 1 else "auto"
