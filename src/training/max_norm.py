"""A bound on the length of each layer's weight vectors after every optimiser step (max-norm; Srebro et al. 2004).

``filter`` bounds all weights that lead into one kernel or unit together, biases not, as in the maxout networks of
Goodfellow et al. (ICML 2013, arXiv:1302.4389). ``keras`` is what Keras' constraint does by default (axis 0 of its
layout), which the thesis on modular networks took (L. Friedrichsen 2020): of a convolution's kernel each column of its
window by itself, much the weaker bound, of a linear layer all weights of a unit, of a bias the whole vector.
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from src.core.errors import UserError, suggestion

AXES = ("filter", "keras")


def bound_norms(optimizer: Optimizer, model: nn.Module, max_norm: Mapping[str, Any]) -> None:
    """Shorten the weights of ``model``'s convolutions and linear layers after each step of ``optimizer``.

    Args:
        max_norm: ``value``, the largest norm, and ``axis``, ``filter`` or ``keras``.

    Raises:
        UserError: a key is missing or unknown, or its value is not allowed.
    """
    if set(max_norm) != {"value", "axis"}:
        raise UserError(
            f"optim.max_norm={dict(max_norm)}: give value and axis, as {{value: 2.0, axis: filter}}, or null"
        )
    value, axis = max_norm["value"], max_norm["axis"]
    if not isinstance(value, int | float) or not value > 0:
        raise UserError(f"optim.max_norm.value={value}: give a number above 0")
    if axis not in AXES:
        raise UserError(f"optim.max_norm.axis={axis}: {suggestion(str(axis), AXES)}")
    bounded: list[tuple[Tensor, tuple[int, ...]]] = []  # and the dimensions over which a norm is taken
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            bounded.append((module.weight, (1, 2, 3) if axis == "filter" else (2,)))
        elif isinstance(module, nn.Linear):
            bounded.append((module.weight, (1,)))
        else:
            continue
        if axis == "keras" and module.bias is not None:
            bounded.append((module.bias, (0,)))

    def shorten(*_: Any) -> None:
        with torch.no_grad():
            for weight, dimensions in bounded:
                norms = torch.linalg.vector_norm(weight, dim=dimensions, keepdim=True)
                weight.mul_(value / norms.clamp(min=value))  # 1 where the norm is allowed

    optimizer.register_step_post_hook(shorten)
