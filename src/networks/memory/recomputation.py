"""Activations computed again in the backward pass, per convolution, norm and ReLU (Chen et al. 2016, arXiv:1604.06174).

The groups are small on purpose: of an early-heavy variant nearly all memory is one block.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint


def can_recompute(model: nn.Module) -> bool:
    """Whether the network tells its steps, as those of :mod:`src.networks.models.layout` do."""
    return hasattr(model, "run") and hasattr(model, "passes")


def recomputed(model: Any, again: AbstractContextManager[Any] | None = None) -> Callable[[Tensor], Tensor]:
    """The forward pass of ``model`` that keeps the inputs of its groups only; within ``again`` they are computed again.

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
