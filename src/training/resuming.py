"""What a killed training left in its folder, and what of it is believed.

The resumable checkpoint carries checksums of its own. What it names is put back as it was then; all else is deleted.
"""

import shutil
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

from src.core.files import checksum, damaged_file, placing, read_json
from src.training.checkpoints import (
    BEST,
    EARLIER,
    ENDED,
    EVENTS,
    HISTORY,
    LAST,
    RESUME,
    Checkpoints,
    write_events,
    write_history,
)

WEIGHTS = (BEST, "epoch_*.safetensors", LAST, EARLIER)

Tell = Callable[[str], None]


def has_ended(folder: Path, on_event: Tell | None = None) -> bool:
    """Whether a training ended in ``folder`` and all that it left is whole; where something is not, that is told.

    A job can be killed after the training and before the store has its entry.
    """
    try:
        damage = damaged_file(folder, read_json(folder / ENDED).get("files"))
    except FileNotFoundError:
        return False
    except ValueError as error:
        damage = str(error)
    if damage:
        _tell(on_event, f"what a killed job had trained was damaged ({damage})")
        (folder / ENDED).unlink()
    return not damage


def resumable(folder: Path, on_event: Tell | None = None) -> Path | None:
    """The checkpoint of a killed training in ``folder``, if it and the weights that it names can be read whole.

    Where they cannot, that is told and the training begins anew, in a folder that holds nothing of the old one.
    """
    path = folder / RESUME
    if path.exists():
        try:
            with zipfile.ZipFile(path) as archive:  # torch.load takes a flipped bit for a weight
                if archive.testzip():
                    raise ValueError("a checksum does not hold")
            state = torch.load(path, weights_only=True, map_location="cpu")
        except MemoryError:
            raise
        except Exception as error:  # which one a damaged file ends in is a matter of chance
            damage = f"the checkpoint of a killed training was damaged ({type(error).__name__})"
        else:
            damage = _put_back(folder, state.get("callbacks", {}).get(Checkpoints.__qualname__, {}), on_event)
        if not damage:
            return path
        _tell(on_event, f"{damage}: it began anew")
    for left in [*_weights(folder), *(folder / name for name in (RESUME, HISTORY, EVENTS, ENDED))]:
        left.unlink(missing_ok=True)
    return None


def _put_back(folder: Path, state: Mapping[str, Any], on_event: Tell | None) -> str:
    """Make the weights, the history and the events those of the checkpoint; returns what cannot be believed."""
    named: Mapping[str, str] = state.get("files", {})
    if not named:  # an earlier version's has no checksums
        return ""
    present = {path: checksum(path) for path in _weights(folder)}
    whole = {digest: path for path, digest in present.items()}
    damaged = [name for name, digest in named.items() if digest not in whole]
    if damaged:
        return f"weights of a killed training were damaged ({', '.join(damaged)})"
    for name in sorted(named, reverse=True):  # the best comes last, for it may stand in for an epoch
        path, digest = folder / name, named[name]
        if present.get(path) != digest:
            source = whole[digest]
            if source.name != EARLIER:
                _tell(on_event, f"weights of a killed training were damaged ({name}): taken from {source.name}")
            with placing(path) as temporary:
                shutil.copyfile(source, temporary)
    for path in present:
        if path.name not in named:
            path.unlink()
    for name in (EVENTS, ENDED):
        (folder / name).unlink(missing_ok=True)
    write_history(folder, state["history"])
    write_events(folder, state["events"])
    return ""


def _weights(folder: Path) -> list[Path]:
    return [path for pattern in WEIGHTS for path in sorted(folder.glob(pattern))]


def _tell(on_event: Tell | None, text: str) -> None:
    if on_event:
        on_event(text)
