"""What a run of Weights & Biases says of code, packages and machine: no name of a host or a user, and no place."""

import hashlib
import sys
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

CPUINFO = Path("/proc/cpuinfo")


@cache
def requirements() -> str:
    """``name==version`` of every installed package, a line each, by name; fast, by what their folders are called."""
    installed = [path.stem.partition("-") for entry in sys.path for path in Path(entry or ".").glob("*.dist-info")]
    known = {
        name.replace("_", "-").lower(): version for name, _, version in reversed(installed)
    }  # the first one counts
    return "".join(f"{name}=={known[name]}\n" for name in sorted(known))


@cache
def processor() -> str:
    """The name of the CPU, empty where the system does not tell."""
    try:
        lines = CPUINFO.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")


def machine(environment: Mapping[str, Any]) -> dict[str, Any]:
    """The same as plain values.

    Args:
        environment: a job's, see :mod:`src.jobs.environment`; ``device`` is known when it has ended.
    """
    known = {key: value for key, value in environment.items() if key not in ("command", "revision", "workers")}
    digest = hashlib.sha256(requirements().encode()).hexdigest()[:16]
    return {**known, "commit": environment.get("revision", ""), "cpu": processor(), "requirements": digest}


def as_wandb_shows(environment: Mapping[str, Any]) -> dict[str, Any]:
    """The same under the names that W&B's page of a run reads from ``wandb-metadata.json``."""
    device = str(environment.get("device", ""))
    gpu = {"gpu": device, "gpu_count": 1} if device not in ("", "CPU", "cpu", processor()) else {}
    plain = {
        "os": environment.get("system", ""),
        "python": environment.get("python", ""),
        "git": {"commit": str(environment.get("revision", "")).rstrip("+")},
        "cpu_count": environment.get("cores"),
        "cpu": processor(),
    }
    return plain | gpu
