"""How a training is made to fit the memory there is, decided before it runs and told with its result."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from src.artifacts.artifacts import Artifacts
from src.artifacts.options import MemoryOptions
from src.core.files import read_json, write_json
from src.core.store import Key
from src.data.datamodule import ImageData
from src.data.epoch_loader import PER_CALL
from src.networks import memory
from src.networks.models import build
from src.training.fitting import Training, VariantTraining

CALIBRATION = "calibration.json"


@dataclass(frozen=True)
class Passes:
    """What leaves the science as it is: activations computed again, and images per pass (None: the whole batch)."""

    recompute: bool = False
    micro_batch: int | None = None


def fitted_to_memory(
    architecture: Mapping[str, Any],
    data: ImageData,
    training: Training,
    options: MemoryOptions | None,
    *,
    device: torch.device,
    artifacts: Artifacts,
) -> tuple[Training, Passes]:
    """The training with the precision that fits, and how its batches are passed; every measure is an event.

    Raises:
        UserError: it cannot fit without changing what is trained.
    """
    if not isinstance(training, VariantTraining) or options is None:
        return training, Passes()
    if training.precision not in memory.PRECISIONS:
        artifacts.session.event(f"memory is not predicted for training.precision={training.precision}")
        return training, Passes()
    wanted = memory.Training(
        architecture,
        data.batch_size,
        precision=training.precision,
        ghost_batch=training.ghost_batch,
        steps_per_call=PER_CALL,
    )
    name = str(device)
    # what happens to be free must not decide the arithmetic: it would follow the sizes of the variants
    impossible = {"bf16": options.budget_gb == "auto", "recompute": not _tells_groups(architecture)}
    allow = [one for one in options.allow if not impossible.get(one)]
    budget = memory.budget(options.budget_gb, name, int(artifacts.running.jobs_at_once))
    plan = memory.plan(wanted, budget, lambda: _constant(device, artifacts), allow, name)
    for event in plan.measures:
        artifacts.session.event(event)
    if plan.training.precision != wanted.precision:
        training = replace(training, precision=plan.training.precision)  # type: ignore[arg-type]
    return training, Passes(plan.training.recompute, plan.training.micro_batch)


def _constant(device: torch.device, artifacts: Artifacts) -> int:
    """Bytes that this machine adds to any training, measured once."""
    gpu = torch.cuda.get_device_name(device) if device.type == "cuda" else ""
    key = Key(
        "calibration", {"device": device.type, "gpu": gpu, "torch": torch.__version__, "host": os.uname().nodename}
    )

    def build(folder: Path) -> None:
        with artifacts.session.stage("memory: calibration"):
            write_json(folder / CALIBRATION, memory.calibrate(str(device)))

    return int(read_json(artifacts.store.make(key, build).folder / CALIBRATION)["constant"])


def _tells_groups(architecture: Mapping[str, Any]) -> bool:
    """Whether the network can be computed again group by group of its layers, which not all of ours tell."""
    with torch.device("meta"):
        return memory.can_recompute(build(architecture))
