"""The measured peak memory of real training steps, in a process of its own.

``python -m src.networks.memory.measurement``
"""

import contextlib
import json
import os
import resource
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from src.core.paths import ROOT
from src.networks.memory.tracing import trace
from src.networks.memory.training import Training, batch, made_ready, optimiser_of, passes
from src.networks.models import build

BASELINE = Training({"name": "vgg", "classes": 10, "input_shape": [3, 32, 32]}, batch=8)  # VGG-D
STEPS = 2  # the first step makes the momentum
LARGE = "65536"
"""Bytes from which the C library hands memory back as soon as it is freed; its moving default blurs the peak."""


def calibrate(device: str = "cpu") -> dict[str, Any]:
    """What this machine adds to any training: code that is first used, compiled kernels, pools of memory.

    Measured (in about 3 s) is VGG-D at batch 8; ``constant`` are the bytes beyond its trace, for this version of torch.
    """
    measured = measure(BASELINE, device)
    constant = measured - trace(BASELINE, device).peak
    return {"device": device, "constant": constant, "measured": measured, "torch": torch.__version__}


def measure(training: Training, device: str = "cpu") -> int:
    """Peak bytes of real training steps on blank images, one thread.

    CPU: the largest resident size of the process over the one before the network is built (Python, torch and
    src.networks.models imported, nothing computed yet). GPU: torch's largest reserved memory, without the CUDA context.
    Raises RuntimeError where the process fails, as it does without enough memory.
    """
    environment = dict(os.environ) | {
        "MALLOC_MMAP_THRESHOLD_": LARGE,
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": os.pathsep.join([str(ROOT), *filter(None, sys.path)]),
    }
    process = subprocess.run(
        [sys.executable, "-m", "src.networks.memory.measurement"], env=environment, text=True, capture_output=True,
        input=json.dumps({"training": asdict(training), "device": device}),
    )  # fmt: skip
    lines = process.stdout.strip().splitlines()
    if process.returncode or not lines:
        last = (process.stderr.strip().splitlines() or ["no message"])[-1]
        raise RuntimeError(f"measuring memory ended with exit code {process.returncode}: {last}")
    return int(lines[-1])


def _measured(training: Training, device: str) -> int:
    import pydantic  # noqa: F401  (checks a network's options, which is no part of the training)

    torch.set_num_threads(1)
    base = _resident("VmRSS")
    _forget_peak()
    model = made_ready(build(training.architecture).to(device), training)
    optimiser = optimiser_of(model, torch.device(device).type)
    for _ in range(STEPS):
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
    _question = json.load(sys.stdin)
    print(_measured(Training(**_question["training"]), _question["device"]))
