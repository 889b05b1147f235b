"""A training as far as its memory goes: the network, the batch, and the measures that save memory."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

PRECISIONS = ("32-true", "bf16-mixed")


@dataclass(frozen=True)
class Training:
    """What decides the peak memory of a training with SGD, momentum and weight decay.

    Gradients are freed before each forward pass.

    Attributes:
        architecture: as ``src.networks.models.build`` takes it (its ``input_shape`` is the images').
        batch: images per optimiser step.
        precision: one of ``PRECISIONS``.
        recompute: activations within each group of convolution, norm and ReLU are computed again in the backward pass.
        micro_batch: images per forward and backward pass, None for the whole batch.
        ghost_batch: images that share a batch norm's statistics, None for all of a pass.
        steps_per_call: batches whose images lie ready at once.
    """

    architecture: Mapping[str, Any]
    batch: int
    precision: str = "32-true"
    recompute: bool = False
    micro_batch: int | None = None
    ghost_batch: int | None = None
    steps_per_call: int = 1
    channels_last: bool = True

    @property
    def images(self) -> int:
        """Images per forward and backward pass."""
        return min(self.batch, self.micro_batch or self.batch)


def made_ready(model: nn.Module, training: Training) -> nn.Module:
    """``model`` itself in train mode: kernels in the order of the maps, batch norms over ghost batches."""
    for parameter in model.parameters():
        if parameter.dim() == 4 and training.channels_last:  # ``.to`` cannot reorder tensors without memory
            parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)
    for module in model.modules():
        if training.ghost_batch and isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            module.forward = partial(_in_groups, module.forward, training.ghost_batch)  # type: ignore[method-assign]
    return model.train()


def _in_groups(normalise: Any, size: int, x: Tensor) -> Tensor:
    groups = [normalise(group) for group in x.split(size)]
    return groups[0] if len(groups) == 1 else torch.cat(groups)


def optimiser_of(model: nn.Module, device: str) -> torch.optim.SGD:
    """SGD as the sweep's trainings use it; torch's list-at-once form on a GPU, which holds more temporaries."""
    return torch.optim.SGD(
        model.parameters(), lr=1e-3, momentum=0.9, weight_decay=5e-4, foreach=device.startswith("cuda")
    )


def batch(training: Training, device: str) -> tuple[Tensor, Tensor]:
    """Images float (n, C, H, W) of one call and labels int (n,)."""
    count = training.batch * training.steps_per_call
    images = torch.ones(count, *training.architecture["input_shape"], device=device)
    return images, torch.zeros(count, dtype=torch.long, device=device)


def passes(model: nn.Module, images: Tensor, labels: Tensor, training: Training) -> Iterator[str]:
    """Forward and backward over one batch, pausing after each: "forward", "backward", ... per micro-batch."""
    forward = recomputed(model) if training.recompute else model
    reduced = training.precision == "bf16-mixed"
    model.zero_grad(set_to_none=True)
    images, labels = images[: training.batch], labels[: training.batch]
    for part, answers in zip(images.split(training.images), labels.split(training.images), strict=True):
        with torch.autocast(images.device.type, torch.bfloat16, enabled=reduced, cache_enabled=False):
            loss = functional.cross_entropy(forward(part), answers, reduction="sum")
        yield "forward"
        loss.backward()
        del loss
        yield "backward"


def can_recompute(model: nn.Module) -> bool:
    """Whether the network tells its steps, as those of :mod:`src.networks.models.layout` do."""
    return hasattr(model, "run") and hasattr(model, "passes")


def recomputed(model: Any, again: AbstractContextManager[Any] | None = None) -> Callable[[Tensor], Tensor]:
    """The forward pass of ``model`` that keeps the inputs of its groups only; within ``again`` they are computed again.

    Groups are a convolution, its norm and its ReLU (Chen et al. 2016, arXiv:1604.06174): small on purpose, for of an
    early-heavy variant nearly all memory is one block.

    Raises:
        TypeError: the network does not tell its steps.
    """
    if not can_recompute(model):
        raise TypeError(f"{type(model).__name__} has no known groups of layers to compute again")
    groups = model.passes()

    def forward(images: Tensor) -> Tensor:
        state = (images, images)
        for start, stop, is_group in groups:
            if is_group:
                # no random numbers are drawn within a group
                state = checkpoint(
                    model.run, state, start, stop, use_reentrant=False, preserve_rng_state=False,
                    context_fn=lambda: (nullcontext(), nullcontext() if again is None else again),
                )  # fmt: skip
            else:
                state = model.run(state, start, stop)
        return state[0]

    return forward
