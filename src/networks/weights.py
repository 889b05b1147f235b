"""The weights of a network as a safetensors file (no pickle, whole or not at all), and a network without them."""

import copy
import hashlib
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from src.core.files import placing


def skeleton(model: nn.Module, device: str = "meta") -> nn.Module:
    """A copy of ``model`` whose parameters and buffers are empty; no weight is copied on the way."""

    def empty(tensor: Tensor) -> Tensor:
        return torch.empty(tensor.shape, dtype=tensor.dtype, device=device)

    memo: dict[int, object] = {id(buffer): empty(buffer) for buffer in model.buffers()}
    memo |= {id(each): nn.Parameter(empty(each), each.requires_grad) for each in model.parameters()}
    return copy.deepcopy(model, memo)


def digest_of_weights(model: nn.Module) -> str:
    """SHA-256 of all tensors of a model, of which the file that they came from may hold several epochs."""
    digest = hashlib.sha256()
    for name, tensor in model.state_dict().items():
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def save_weights(model: nn.Module, path: Path) -> None:
    """Write all parameters and buffers atomically; what stands under two names is written twice."""
    tensors: dict[str, Tensor] = {}
    storages: set[int] = set()  # the format has no shared memory
    for name, tensor in model.state_dict().items():
        value = tensor.detach().contiguous().cpu()
        storage = value.untyped_storage().data_ptr()
        tensors[name] = value.clone() if storage in storages else value
        storages.add(storage)
    with placing(path) as temporary:
        save_file(tensors, temporary)


def load_weights(model: nn.Module, path: Path) -> None:
    """The opposite of :func:`save_weights`.

    Raises:
        RuntimeError: the file is damaged, or names or shapes are not the model's.
    """
    try:
        tensors = load_file(path)
    except SafetensorError as error:
        raise RuntimeError(f"damaged file: {error}") from None
    state = model.state_dict()  # with the versions of its layers, without which some refuse or change themselves
    state.clear()
    state.update(tensors)
    model.load_state_dict(state)
