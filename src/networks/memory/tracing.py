"""The memory of a training step, allocation by allocation, on tensors without memory (torch's FakeTensorMode)."""

from __future__ import annotations

import copy
import weakref
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from src.networks.memory import workspace
from src.networks.memory.training import Training, batch, made_ready, optimiser_of, passes
from src.networks.models import build
from src.networks.models.registry import PREFIXES

_aten = torch.ops.aten


@dataclass(frozen=True)
class Trace:
    """Bytes. ``weights``: parameters and buffers, once. ``saved``: what the forward pass leaves for the backward pass,
    with images and labels. ``passes``: peak of forward and backward. ``optimiser``: peak of the optimiser's step.
    """

    weights: int
    saved: int
    passes: int
    optimiser: int

    @property
    def peak(self) -> int:
        return max(self.passes, self.optimiser)


def trace(training: Training, device: str = "cpu", model: nn.Module | None = None) -> Trace:
    """Peak bytes of tensors and of the convolutions' workspace; nothing is computed and no memory is taken (0.2 s).

    ``model`` in place of a network built from ``training.architecture``; its weights are not copied.
    """
    if model is None and str(training.architecture["name"]).startswith(PREFIXES):
        with torch.random.fork_rng(devices=[]):
            model = build(training.architecture)  # others' constructors may read values, which fake tensors lack
    with FakeTensorMode(allow_non_fake_inputs=False) as fake, Tracker(training.channels_last) as tracker:
        network = build(training.architecture) if model is None else _without_values(model, fake)
        made_ready(network, training)
        for tensor in (*network.parameters(), *network.buffers()):
            tracker.count(tensor)
        weights = tracker.live
        optimiser = optimiser_of(network, device)
        for parameter in network.parameters():  # as after the first step, which needs no more than the others
            optimiser.state[parameter]["momentum_buffer"] = torch.empty_like(parameter)
        saved, in_passes, in_optimiser = _step(training, network, optimiser, tracker)
    return Trace(weights, saved, in_passes, in_optimiser)


def _step(
    training: Training, network: nn.Module, optimiser: torch.optim.Optimizer, tracker: Tracker
) -> tuple[int, int, int]:
    before = tracker.live
    images, labels = batch(training, "cpu")
    tracker.peak = tracker.live
    saved = 0
    for what in passes(network, images, labels, training):
        if what == "forward" and not saved:
            saved = tracker.live - before
    in_passes, tracker.peak = tracker.peak, tracker.live
    optimiser.step()
    return saved, in_passes, tracker.peak


def _without_values(model: nn.Module, fake: FakeTensorMode) -> nn.Module:
    memo: dict[int, Any] = {}
    for parameter in model.parameters():
        memo[id(parameter)] = nn.Parameter(_empty(parameter), parameter.requires_grad)
    memo |= {id(buffer): _empty(buffer) for buffer in model.buffers()}
    return copy.deepcopy(model, memo)


def _empty(tensor: Tensor) -> Tensor:
    return torch.empty(tensor.shape, dtype=tensor.dtype)


class Tracker(TorchDispatchMode):
    """Counts the bytes of all storages that live, and their peak with the workspace of convolutions."""

    def __init__(self, channels_last: bool) -> None:
        super().__init__()
        self.live = 0
        self.peak = 0
        self._known: weakref.WeakSet[torch.UntypedStorage] = weakref.WeakSet()
        self._channels_last = channels_last

    def count(self, tensor: Tensor) -> None:
        """Count the tensor's storage until it is freed; a view's storage counts once."""
        storage = tensor.untyped_storage()
        if storage in self._known:
            return
        self._known.add(storage)
        size = storage.nbytes()
        self.live += size
        self.peak = max(self.peak, self.live)
        weakref.finalize(storage, self._freed, size).atexit = False

    def _freed(self, size: int) -> None:
        self.live -= size

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        results = func(*args, **(kwargs or {}))
        for result in tree_leaves(results):
            if isinstance(result, Tensor):
                self.count(result)
        self.peak = max(self.peak, self.live + self._workspace(func, args, results))
        return results

    def _workspace(self, func: Any, args: tuple[Any, ...], results: Any) -> int:
        if func is _aten.convolution.default:
            return workspace.forward_bytes(args[0], args[1], results, self._channels_last)
        if func is _aten.convolution_backward.default:
            return workspace.backward_bytes(args[0], args[1], args[2], self._channels_last)
        return 0
