"""What a search needs to go on from: one file, written whole or not at all, read without unpickling anything."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from src.core.files import replacing
from src.core.shown import Shown

FORMAT = "1"  # of the file and of what its numbers mean; raised by hand, so that older ones are not continued


class Generation(NamedTuple):
    """What one generation came to; ``_asdict`` is a row of the page's table.

    ``accuracy``, ``difference`` and ``fitness`` are of its best ensemble (fitness with the generation's ``alpha``),
    ``mean_accuracy`` of all surviving ensembles, ``retained`` the mean share of kernels over the best ensemble's
    modules and ``population_retained`` over all; ``candidates`` were not in the generation before; ``improved`` where
    its ensemble is the best so far.
    """

    generation: int
    accuracy: float
    mean_accuracy: float
    difference: float
    fitness: float
    alpha: float
    retained: float
    population_retained: float
    candidates: int
    improved: bool


@dataclass(frozen=True)
class SearchState(Shown):
    """Where a search stands before it judges generation number ``generation``, or what it came to.

    Attributes:
        population: bool (N, P, G).
        keep: bool (N, K) kernels of each class's module, the best so far, of generation ``best``.
        value: alpha * accuracy + (1 - alpha) * difference of these, with the fixed alpha.
        accuracy: of these together, by their raw logits, on the images of the search.
        difference: mean Jaccard difference of their pairs.
        history: one entry per judged generation.
        events: what the reader should know, e.g. that a checkpoint was damaged; not saved.
    """

    generation: int
    population: Tensor
    candidates: int
    alpha: float
    keep: Tensor
    best: int = -1
    value: float = -1.0
    accuracy: float = 0.0
    difference: float = 0.0
    history: tuple[Generation, ...] = ()
    events: tuple[str, ...] = ()


PLAIN = ("generation", "candidates", "alpha", "best", "value", "accuracy", "difference")


def fingerprint(plain: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> str:
    """Tells one search from another: a digest of its settings and of the tensors it works on."""
    return _digest(json.dumps(plain, sort_keys=True), tensors)


def write_state(path: Path, state: SearchState, owner: str) -> None:
    """Replace the file at ``path``; ``owner`` is the search's :func:`fingerprint`."""
    tensors = {"population": state.population.contiguous(), "keep": state.keep.contiguous()}
    plain = {key: getattr(state, key) for key in PLAIN}
    text = json.dumps({**plain, "history": [list(row) for row in state.history]})
    metadata = {"format": FORMAT, "owner": owner, "state": text, "digest": _digest(text, tensors)}
    with replacing(path) as file:
        file.write(save(tensors, metadata))


def read_state(path: Path, owner: str) -> tuple[SearchState | None, str]:
    """The saved state, or None and one sentence on why not ("" where there simply is none)."""
    if not path.exists():
        return None, ""
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in ("population", "keep")}
        if metadata.get("format") != FORMAT or metadata.get("owner") != owner:
            return None, f"search: {path.name} belongs to another search (other settings, seed or data); began anew"
        if metadata["digest"] != _digest(metadata["state"], tensors):
            raise ValueError("its checksum does not hold")
        plain = json.loads(metadata["state"])
        history = tuple(Generation(*row) for row in plain.pop("history"))
        return SearchState(**plain, **tensors, history=history), ""
    except (OSError, SafetensorError, ValueError, KeyError, TypeError) as error:
        return None, f"search: {path.name} is damaged ({error}); began anew"


def _digest(text: str, tensors: Mapping[str, Tensor]) -> str:
    digest = hashlib.sha256(text.encode())
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.detach().cpu().contiguous().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
