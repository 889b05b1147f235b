"""What a job needs of this machine, found out before anything is written: data, a GPU, a user's own networks.

Without torch, as far as that goes: its import takes longer than everything here.
"""

import importlib
import sys
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from src.artifacts.description import described
from src.artifacts.options import CheckpointOptions
from src.artifacts.packaged import weights_file
from src.core.code import PREFIX, fault, names_of_code
from src.core.contents import KEYS, named
from src.core.errors import UserError, close_to
from src.core.options import options_of
from src.jobs.callbacks import check_callbacks
from src.report.workspaces import PACKAGE as WORKSPACES

#: Sources whose folder must be there; others fetch what is missing.
LOCAL = ("image_folder", "imagenet")
#: Last parts of keys that name a file or a folder.
PATHS = (*KEYS, "conflicts", "observers")
#: What the drivers of GPUs leave in /dev: NVIDIA's, of its boards, of Windows below Linux, AMD's.
DEVICES = ("nvidia*", "nvhost*", "nvgpu*", "dxg", "kfd")


def check_needs(values: Mapping[str, Any], here: bool = True) -> None:
    """Refuse a job that would miss something.

    Args:
        values: a job's configuration as plain containers.
        here: it is this process that will run the job; else only what all machines of a sweep share is looked at.

    Raises:
        UserError: a file or a folder of data, the GPU, a package of weights, or a user's own code is not there.
    """
    subject = values.get("subject", {})
    if here and values["task"] == "measure" and subject.get("kind") == "packaged":
        weights_file(str(subject["model"]))
    for key, paths in named(values, keys=PATHS):
        *above, leaf = key.split(".")
        section = values
        for word in above:
            section = section[word]
        if leaf == "root" and section.get("name") not in LOCAL and section.get("download") is not False:
            continue
        for path in paths:
            if not path.exists():
                raise UserError(f"{key}={path}: no such file or folder; {_near(path)}", key)
            if leaf == "root" and not path.is_dir():
                raise UserError(f"{key}={path}: it is a file; give the folder of the images", key)
    for key, name in names_of_code(values):
        if reason := fault(name) or (_import(name) if here else ""):
            raise UserError(f"{key}={name}: {reason}", key)
    if values["task"] == "dashboard" and find_spec(WORKSPACES) is None:
        raise UserError(
            "task=dashboard: the package of workspaces is not installed; run uv sync --extra workspaces", "task"
        )
    check_callbacks(values, here)
    if here:
        _check_device(values["device"])
    if values["task"] == "measure" and subject.get("kind") == "checkpoint":
        described(options_of(CheckpointOptions, subject, "subject"), Path(values["outputs"]))
        if here:
            from src.artifacts.checkpoint import check_checkpoint  # late: it imports torch

            check_checkpoint(values)


def _near(path: Path) -> str:
    siblings = [entry.name for entry in path.parent.iterdir()] if path.parent.is_dir() else []
    near = close_to(path.name, siblings)
    return f"did you mean '{near}'?" if near else "give the path of what is there"


def _import(name: str) -> str:
    """Why the module cannot be imported; what its source does not tell."""
    module = name.removeprefix(PREFIX).partition(":")[0]
    try:
        importlib.import_module(module)
    except Exception as error:
        return f"{module} cannot be imported ({type(error).__name__}: {' '.join(str(error).split())[:200]}); mend it"
    return ""


def _check_device(name: str) -> None:
    if not name.startswith("cuda"):
        return
    here = sys.platform != "linux" or any(any(Path("/dev").glob(pattern)) for pattern in DEVICES)
    if here or "torch" in sys.modules:  # torch alone knows how many it can use
        from src.training.determinism import device_of

        device_of(name)
        return
    raise UserError(f"device={name}: this machine has no GPU; take device=auto or device=cpu", "device")
