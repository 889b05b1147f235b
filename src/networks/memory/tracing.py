"""The memory of a training step, allocation by allocation, on tensors without memory (torch's FakeTensorMode)."""

import weakref
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from src.networks.memory.training import Training, batch, made_ready, optimiser_of, passes
from src.networks.models import build
from src.networks.options import PREFIXES
from src.networks.weights import skeleton

_aten = torch.ops.aten
BLOCK = 16
"""Channels that oneDNN's kernels for maps in torch's usual order (NCHW) work on at once."""


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


def trace(training: Training, device: str = "cpu") -> Trace:
    """Peak bytes of tensors and of the convolutions' workspace; nothing is computed and no memory is taken (0.2 s)."""
    foreign = str(training.architecture["name"]).startswith(PREFIXES)
    if foreign:
        with torch.random.fork_rng(devices=[]):
            model = build(training.architecture)  # others' constructors may read values, which fake tensors lack
    with FakeTensorMode(allow_non_fake_inputs=False), Tracker(training.channels_last) as tracker:
        network = skeleton(model, "cpu") if foreign else build(training.architecture)
        made_ready(network, training)
        for tensor in (*network.parameters(), *network.buffers()):
            tracker.count(tensor)
        weights = tracker.live
        optimiser = optimiser_of(network, device)
        for parameter in network.parameters():  # as after the first step, which needs no more than the others
            optimiser.state[parameter]["momentum_buffer"] = torch.empty_like(parameter)
        before = tracker.live
        images, labels = batch(training, "cpu")
        tracker.peak = tracker.live
        saved = 0
        for what in passes(network, images, labels, training):
            if what == "forward" and not saved:
                saved = tracker.live - before
        in_passes, tracker.peak = tracker.peak, tracker.live
        optimiser.step()
    return Trace(weights, saved, in_passes, tracker.peak)


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
            return _forward_workspace(args[0], args[1], results, self._channels_last)
        if func is _aten.convolution_backward.default:
            return _backward_workspace(args[0], args[1], args[2], self._channels_last)
        return 0


# Memory that a convolution needs beside its operands and results, as seen on CPUs with torch's oneDNN kernels: in NCHW
# they copy operands and results into blocks of channels, and each rule is the larger of the moments at which such
# copies live. For channels_last only weights are copied.


def _forward_workspace(images: Tensor, weight: Tensor, output: Tensor, channels_last: bool) -> int:
    """Bytes beside ``images`` (n, C, H, W), ``weight`` and ``output`` at the peak of a convolution."""
    if images.dim() != 4 or channels_last:
        return weight.nbytes
    read = _blocked(images) if images.shape[1] > 4 else 0  # the first layer's kernels read the images as they are
    return max(read + weight.nbytes + _blocked(output) - output.nbytes, _blocked(output))


def _backward_workspace(gradient: Tensor, images: Tensor, weight: Tensor, channels_last: bool) -> int:
    """Bytes beside the operands and both results at the peak of a convolution's backward pass."""
    in_full_precision = weight.numel() * 4  # weight gradients are summed up in fp32
    if images.dim() != 4 or channels_last:
        return 2 * in_full_precision
    extra = in_full_precision if weight.element_size() < 4 else 0
    return max(_blocked(images) + _blocked(gradient) + extra, in_full_precision)


def _blocked(maps: Tensor) -> int:
    """Bytes of ``maps`` (n, C, H, W) with C rounded up to a whole number of blocks."""
    channels = maps.shape[1]
    return maps.nbytes // max(1, channels) * (-(-channels // BLOCK) * BLOCK)
