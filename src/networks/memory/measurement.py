"""The measured peak memory of real training steps, in a process of its own.

``python -m src.networks.memory.measurement``
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

from src.core.paths import ROOT
from src.networks.memory.training import Training, batch, made_ready, optimiser_of, passes

STEPS = 2  # the first step makes the momentum
LARGE = "65536"
"""Bytes from which the C library hands memory back as soon as it is freed; its moving default blurs the peak."""


class MeasurementError(RuntimeError):
    """The measuring process ended without a figure; the text ends with its last line."""


def measure(training: Training, device: str = "cpu", steps: int = STEPS, timeout: float | None = None) -> int:
    """Peak bytes of ``steps`` real training steps on blank images, one thread.

    CPU: the largest resident size of the process over the one before the network is built (Python, torch and
    src.networks.models imported, nothing computed yet). GPU: torch's largest reserved memory, without the CUDA context.
    Raises MeasurementError where the process fails, as it does without enough memory.
    """
    question = json.dumps({"training": training.plain(), "device": device, "steps": steps})
    environment = dict(os.environ) | {
        "MALLOC_MMAP_THRESHOLD_": LARGE,
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": os.pathsep.join([str(ROOT), *filter(None, sys.path)]),
    }
    process = subprocess.run(
        [sys.executable, "-m", "src.networks.memory.measurement"],
        input=question, capture_output=True, text=True, env=environment, timeout=timeout,
    )  # fmt: skip
    lines = process.stdout.strip().splitlines()
    if process.returncode or not lines:
        last = (process.stderr.strip().splitlines() or ["no message"])[-1]
        raise MeasurementError(f"measuring memory ended with exit code {process.returncode}: {last}")
    return int(json.loads(lines[-1])["bytes"])


def _main() -> None:
    question: dict[str, Any] = json.load(sys.stdin)
    print(json.dumps({"bytes": _measured(Training(**question["training"]), question["device"], question["steps"])}))


def _measured(training: Training, device: str, steps: int) -> int:
    import torch

    from src.networks.models import build

    torch.set_num_threads(1)
    base = _resident("VmRSS")
    _forget_peak()
    model = made_ready(build(training.architecture).to(device), training)
    optimiser = optimiser_of(model, torch.device(device).type)
    for _ in range(steps):
        images, labels = batch(training, device)
        for _ in passes(model, images, labels, training):
            pass
        optimiser.step()
        del images, labels
    if torch.device(device).type == "cuda":
        torch.cuda.synchronize(device)
        return torch.cuda.max_memory_reserved(device)
    return max(_resident("VmHWM"), _resident("VmRSS")) - base


def _resident(field: str) -> int:
    """Bytes of this process's resident memory, now ("VmRSS") or at its peak ("VmHWM")."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{field}:"))
    except (OSError, StopIteration):  # no Linux: only the peak is known
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def _forget_peak() -> None:
    """Start the peak anew: imports may have stood higher than the base. Where it is forbidden the base is the peak."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


if __name__ == "__main__":
    _main()
