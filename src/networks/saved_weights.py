"""Weights as other programs save them, brought under the names that a network has for them. No code in a file is run.

State dicts of torch, checkpoints of training scripts and of Lightning, safetensors. Wrappers (DataParallel,
torch.compile, a LightningModule) put a prefix before all names; which one it is follows from the network: under the
right one there is a tensor of the right shape for each of its names.
"""

import pickle
import re
import warnings
import zipfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from src.core.errors import UserError

#: Entries of a checkpoint that hold a network's weights; the first one that is there is taken.
ENTRIES = ("state_dict", "model_state_dict", "model_state", "model", "net_state_dict", "net", "network", "weights")
#: What wrappers put before names, also several of them one after another.
PREFIXES = ("module.", "_orig_mod.", "model.", "net.", "network.", "backbone.")
#: Of names that change no answer of a network in eval mode; files from before torch 0.4.1 lack them.
UNNEEDED = "num_batches_tracked"
SHOWN = 3  # names of a list in a message


class Weights(NamedTuple):
    """Tensors by the names they were saved under, and one line for everything that was passed over."""

    tensors: dict[str, Tensor]
    events: list[str]


class Misfit(NamedTuple):
    """What keeps weights from being a network's: names, and of shapes name, the file's and the network's."""

    missing: list[str]
    unexpected: list[str]
    reshaped: list[tuple[str, tuple[int, ...], tuple[int, ...]]]

    def __str__(self) -> str:
        shapes = [f"{name} {given} for {needed}" for name, given, needed in self.reshaped]
        lists = (("missing", self.missing), ("unexpected", self.unexpected), ("of another shape", shapes))
        return "; ".join(f"{title}: {shortened(names)}" for title, names in lists if names)


class MisfitError(Exception):
    """Weights that are not those of a network."""

    def __init__(self, misfit: Misfit) -> None:
        super().__init__(str(misfit))
        self.misfit = misfit


def shortened(names: Iterable[str]) -> str:
    """The first few, and how many there are."""
    every = list(names)
    return ", ".join(every[:SHOWN]) + (f" ... ({len(every)} in all)" if len(every) > SHOWN else "")


def read_weights(path: Path) -> Weights:
    """The network's tensors in a file, on the CPU.

    Raises:
        UserError: the file is damaged, holds no weights, or more than can be read without running its code.
    """
    try:
        with warnings.catch_warnings(action="ignore"):  # of torch, about files that are then refused
            saved: Any = load_file(path) if path.suffix == ".safetensors" else _loaded(path)
    except UserError:
        raise
    except Exception as error:  # which one a damaged file ends in is a matter of chance
        reason = f"{type(error).__name__} {' '.join(str(error).split())[:80]}".strip()
        raise UserError(
            f"subject.path={path}: damaged, or no file of weights ({reason}); copy it again or save it anew"
        ) from None
    return _entry(saved, path)


def _loaded(path: Path) -> Any:
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:  # torch takes a flipped bit for a weight
            if damaged := archive.testzip():
                raise ValueError(f"the checksum of {damaged} does not hold")
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        code = re.search(r"Unsupported (?:global: GLOBAL|class|operand) ([\w.]*[A-Za-z_][\w.]*)", str(error))
        if code is None:
            raise ValueError("no pickle of tensors") from None
        what, convert = code[1], _conversion(path, "torch.load({file}, map_location='cpu', weights_only=False)")
    except RuntimeError as error:
        if "TorchScript" not in str(error):
            raise
        what, convert = "a TorchScript program", _conversion(path, "torch.jit.load({file}, map_location='cpu')")
    raise UserError(
        f"subject.path={path}: holds more than weights ({what}), which could run any code; if you trust it, save its "
        f"weights alone: {convert}"
    )


def _conversion(path: Path, load: str) -> str:
    """Three lines of Python."""
    target = str(path.with_name(f"{path.stem}_weights.pth"))
    return (
        f"import torch; saved = {load.format(file=repr(str(path)))}; "
        f"torch.save(saved['state_dict'] if isinstance(saved, dict) else saved.state_dict(), {target!r})"
    )


def _entry(saved: Any, path: Path) -> Weights:
    """The weights within what a file holds."""
    events = []
    while isinstance(saved, Mapping):
        name = next((name for name in ENTRIES if _holds_tensors(saved.get(name), deep=True)), None)
        if name is None:
            break
        others = [str(key) for key, value in saved.items() if key != name and _holds_tensors(value)]
        events.append(f"the weights are its entry '{name}'" + (f", not {shortened(others)}" if others else ""))
        saved = saved[name]
    if not _holds_tensors(saved):
        entries = f"entries {shortened(map(str, saved))}" if isinstance(saved, Mapping) else type(saved).__name__
        raise UserError(
            f"subject.path={path}: holds no weights by name ({entries or 'nothing'}); save model.state_dict(), alone "
            f"or under one of {', '.join(ENTRIES)}"
        )
    others = [str(name) for name, value in saved.items() if not isinstance(value, Tensor)]
    if others:
        events.append(f"no tensors, passed over: {shortened(others)}")
    return Weights({str(name): value.detach() for name, value in saved.items() if isinstance(value, Tensor)}, events)


def _holds_tensors(value: Any, deep: bool = False) -> bool:
    """Whether it is a state dict; ``deep``: or has an entry that is one."""
    if not isinstance(value, Mapping):
        return False
    here = any(isinstance(each, Tensor) for each in value.values())
    return here or (deep and any(_holds_tensors(each) for each in value.values()))


def load_saved(model: nn.Module, tensors: Mapping[str, Tensor]) -> list[str]:
    """Give a network its weights, whatever they are called.

    Returns:
        One line for each thing that was done to names or passed over.

    Raises:
        MisfitError: under no prefix, or under several, there is a tensor for each of the network's.
    """
    wanted = model.state_dict()
    prefix = _prefix(tensors, wanted)
    taken = {name: tensors[prefix + name] for name in wanted if prefix + name in tensors}
    model.load_state_dict(taken, strict=False)  # all is there but UNNEEDED
    events = [f"prefix '{prefix}' taken off {len(taken)} names"] if prefix else []
    others = [name for name in tensors if not name.startswith(prefix)]
    if others:
        events.append(f"{len(others)} tensors beside '{prefix}' passed over: {shortened(others)}")
    types = {f"{value.dtype} are computed with as {wanted[name].dtype}".replace("torch.", "")
             for name, value in taken.items() if value.dtype != wanted[name].dtype}  # fmt: skip
    return [*events, *(f"weights of type {words}" for words in sorted(types))]


def _prefix(tensors: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> str:
    """The one under which everything fits: none or one made of PREFIXES, or else the only one of any other name."""
    counts = Counter(prefix for name in tensors for prefix in _prefixes(name, wanted))
    needed = sum(not name.endswith(UNNEEDED) for name in wanted)
    fit = [prefix for prefix, count in counts.items() if count >= needed and not any(_misfit(tensors, wanted, prefix))]
    stated = [prefix for prefix in fit if _is_stated(prefix)]
    for choice in (stated, fit):
        if len(choice) == 1:
            return choice[0]
    if fit:
        names = " and ".join(f"'{prefix}'" for prefix in (stated or fit))
        raise UserError(f"it fits below {names}; save one of them alone, as model.state_dict()")
    nearest = max(counts, key=lambda prefix: (counts[prefix], _is_stated(prefix), -len(prefix)), default="")
    raise MisfitError(_misfit(tensors, wanted, nearest))


def _prefixes(name: str, wanted: Mapping[str, Tensor]) -> Iterator[str]:
    """What stands before a name of the network in a saved name."""
    starts = [0, *(place.end() for place in re.finditer(r"\.", name))]
    return (name[:start] for start in starts if name[start:] in wanted)


def _is_stated(prefix: str) -> bool:
    return re.fullmatch(f"({'|'.join(map(re.escape, PREFIXES))})*", prefix) is not None


def _misfit(tensors: Mapping[str, Tensor], wanted: Mapping[str, Tensor], prefix: str) -> Misfit:
    below = {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
    return Misfit(
        [name for name in wanted if name not in below and not name.endswith(UNNEEDED)],
        [prefix + name for name in below if name not in wanted],
        [(name, tuple(below[name].shape), tuple(value.shape))
         for name, value in wanted.items() if name in below and below[name].shape != value.shape],
    )  # fmt: skip
