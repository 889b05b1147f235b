"""Activations computed again in the backward pass, per group of convolution, norm and ReLU (Chen et al. 2016).

arXiv:1604.06174. The groups are small on purpose: of an early-heavy variant nearly all memory is one block.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from src.networks.models.layout import ConvolutionalNetwork


def can_recompute(model: nn.Module) -> bool:
    """Whether the groups of this network are known."""
    return isinstance(model, ConvolutionalNetwork)


@contextmanager
def recomputing(model: nn.Module, enabled: bool = True) -> Iterator[None]:
    """Within it the forward pass of ``model`` keeps the groups' inputs only.

    Raises TypeError for a network whose groups are not known.
    """
    if not enabled:
        yield
        return
    if not isinstance(model, ConvolutionalNetwork):
        raise TypeError(f"{type(model).__name__} has no known groups of layers to compute again")
    parts = model.passes()

    def forward(images: Tensor) -> Tensor:
        state = (images, images)
        for start, stop, again in parts:
            if again:
                state = checkpoint(model.run, state, start, stop, use_reentrant=False, preserve_rng_state=False)
            else:
                state = model.run(state, start, stop)
        return state[0]

    model.forward = forward  # type: ignore[method-assign]
    try:
        yield
    finally:
        del model.forward
