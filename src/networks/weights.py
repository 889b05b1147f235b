"""The weights of a network as a safetensors file: no pickle, whole or not at all."""

from __future__ import annotations

import hashlib
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn


def digest_of_weights(model: nn.Module) -> str:
    """SHA-256 of all tensors of a model, of which the file that they came from may hold several epochs."""
    found = hashlib.sha256()
    for name, tensor in model.state_dict().items():
        found.update(name.encode())
        found.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return found.hexdigest()


def save_weights(model: nn.Module, path: Path) -> None:
    """Write all parameters and buffers atomically."""
    partial = path.with_name(f".{path.name}.partial")
    save_file({name: tensor.detach().contiguous().cpu() for name, tensor in model.state_dict().items()}, partial)
    partial.replace(path)


def load_weights(model: nn.Module, path: Path) -> None:
    """The opposite of :func:`save_weights`.

    Raises:
        RuntimeError: the file is damaged, or names or shapes are not the model's.
    """
    try:
        tensors = load_file(path)
    except SafetensorError as error:
        raise RuntimeError(f"damaged file: {error}") from None
    model.load_state_dict(tensors)
