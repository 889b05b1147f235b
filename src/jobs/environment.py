"""What a job ran on: recorded with its result, never part of its identity."""

import os
import platform
import subprocess
from importlib.metadata import version
from typing import Any

from src.core.paths import ROOT
from src.core.running import Running

PACKAGES = ("torch", "torchvision", "pytorch-lightning", "torchmetrics", "hydra-core", "numpy", "scikit-learn")


def environment(running: Running) -> dict[str, Any]:
    """Versions, machine and revision, of the moment at which the job begins."""
    return {
        "python": platform.python_version(),
        **{name: version(name) for name in PACKAGES},
        "cores": os.cpu_count(),
        "threads": running.threads,
        "workers": running.workers,
        "system": f"{platform.system()} {platform.machine()}",
        "revision": _revision(),
    }


def device_used(running: Running) -> str:
    """The processor that computed; asked when a job has ended, for to ask for a GPU's name starts CUDA."""
    import torch

    if running.device == "cpu" or not torch.cuda.device_count():
        return platform.processor() or "CPU"
    count = running.trainer.devices if running.trainer else 1
    try:
        name = torch.cuda.get_device_name(None if running.device == "auto" else running.device)
    except (RuntimeError, AssertionError, ValueError):  # there is none of this number, or it has failed
        return running.device
    return name if count == 1 else f"{count} x {name}"


def _revision() -> str:
    """The commit of the code, with a plus where files differ from it; empty outside a checkout."""
    command = ["git", "-C", str(ROOT), "describe", "--always", "--dirty=+", "--exclude=*"]
    try:
        return subprocess.run(command, capture_output=True, text=True).stdout.strip()
    except OSError:  # no git here
        return ""
