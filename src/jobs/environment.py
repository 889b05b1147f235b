"""What a job ran on: recorded with its result, never part of its identity."""

from __future__ import annotations

import os
import platform
import subprocess
from importlib.metadata import version
from typing import Any

from src.core.paths import ROOT
from src.core.running import Running

PACKAGES = ("torch", "torchvision", "pytorch-lightning", "torchmetrics", "hydra-core", "numpy", "scikit-learn")


def environment(running: Running) -> dict[str, Any]:
    """What a job ran on: versions, machine, revision. Recorded, never part of its identity."""
    import torch

    return {
        "python": platform.python_version(),
        **{name: version(name) for name in PACKAGES},
        "device": torch.cuda.get_device_name() if torch.cuda.is_available() else platform.processor() or "CPU",
        "cores": os.cpu_count(),
        "threads": running.threads,
        "workers": running.workers,
        "system": f"{platform.system()} {platform.machine()}",
        "revision": _revision(),
    }


def _revision() -> str:
    """The commit of the code, with a plus where files differ from it; empty outside a checkout."""
    command = ["git", "-C", str(ROOT), "describe", "--always", "--dirty=+", "--exclude=*"]
    try:
        return subprocess.run(command, capture_output=True, text=True).stdout.strip()
    except OSError:  # no git here
        return ""
