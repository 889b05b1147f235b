"""The peak memory of a training before it runs."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from torch import nn

from src.networks.memory.measurement import measure
from src.networks.memory.tracing import Trace, trace
from src.networks.memory.training import Training

BASELINE = {"name": "vgg", "classes": 10, "input_shape": [3, 32, 32]}  # VGG-D
BATCH = 8


@dataclass(frozen=True)
class Calibration:
    """What a machine adds to any training, in bytes: code that is first used, compiled kernels, pools of memory.

    ``constant``: bytes ``measured`` for the baseline at a small batch less its trace. ``torch``: version it holds for.
    """

    device: str
    constant: int
    measured: int
    torch: str

    def plain(self) -> dict[str, Any]:
        """The same as JSON-able data: ``Calibration(**calibration.plain())`` is equal."""
        return asdict(self)


@dataclass(frozen=True)
class Prediction:
    """Bytes. ``trace``: the two peaks and their parts; ``constant``: what the machine adds (0 without calibration)."""

    trace: Trace
    constant: int

    @property
    def total(self) -> int:
        return self.trace.peak + self.constant


def predict(
    training: Training, calibration: Calibration | None = None, device: str = "cpu", model: nn.Module | None = None
) -> Prediction:
    """Peak bytes of a training over those of a process that has imported torch and built nothing; nothing is run.

    The larger of two lines in the batch: forward and backward passes, and the optimiser's step (Mundt et al. 2018,
    arXiv:1812.05836, took one). ``model`` in place of a network built from ``training.architecture``.
    """
    return Prediction(trace(training, device, model), calibration.constant if calibration else 0)


def calibrate(device: str = "cpu") -> Calibration:
    """Measures VGG-D at batch 8 in a process of its own (about 3 s), once per machine and version of torch."""
    import torch

    training = Training(BASELINE, BATCH)
    measured = measure(training, device)
    return Calibration(device, measured - trace(training, device).peak, measured, torch.__version__)
