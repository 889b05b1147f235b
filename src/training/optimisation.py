"""Optimisers and learning-rate schedules by name."""

import math
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer

from src.core.errors import UserError, suggestion
from src.training.max_norm import bound_norms
from src.training.sgdr import check_cycles, sgdr

OPTIMIZERS = {"sgd": torch.optim.SGD, "adam": torch.optim.Adam, "adamw": torch.optim.AdamW}
DEFAULT_RATE = 1e-3  # torch's, of all three
SCHEDULES = ("constant", "cosine", "milestones", "sgdr")


def build_optimizer(optim: Mapping[str, Any], model: nn.Module) -> Optimizer:
    """``{name: sgd, lr: .01, momentum: .9, weight_decay: 1e-4, ...}``; further keys go to the optimiser as they are.

    ``max_norm: {value: 2.0, axis: filter}`` bounds the weights after every step (`src.training.max_norm`).

    Raises:
        UserError: an unknown name or option.
    """
    options = {key: value for key, value in optim.items() if key not in ("name", "schedule", "max_norm")}
    name = optim["name"]
    if name not in OPTIMIZERS:
        raise UserError(f"optim.name={name} is not an optimiser; {suggestion(name, OPTIMIZERS)}")
    try:
        optimizer: Optimizer = OPTIMIZERS[name](model.parameters(), **options)
    except (TypeError, ValueError) as error:
        raise UserError(f"optim: {name} does not take {options} ({error}); mend that key of conf/optim") from None
    if optim.get("max_norm"):
        bound_norms(optimizer, model, optim["max_norm"])
    return optimizer


def rate_of(
    optim: Mapping[str, Any], steps: int, steps_per_epoch: int = 0, whole_batches: int = 0
) -> Callable[[int], float]:
    """The learning rate of each optimiser step, from 0.

    ``{name: cosine, warmup: .1}`` rises linearly over that fraction and falls to zero along a half cosine;
    ``{name: milestones, at: [.3, .6], factor: .1}`` multiplies at those fractions of the training;
    ``{name: sgdr, first: 10, factor: 2, lowest: 1e-5}`` starts anew after 10, 30, 70 ... epochs (`src.training.sgdr`).

    Args:
        steps: of the whole training.
        steps_per_epoch: batches per epoch; sgdr alone asks for it, and for
        whole_batches: batches of full size per epoch.

    Raises:
        UserError: an unknown schedule, or a key of it is missing.
    """
    lr = float(optim.get("lr", DEFAULT_RATE))
    factor = _factor(optim, lr, steps, steps_per_epoch, whole_batches)
    return lambda step: lr * factor(step)


def _factor(
    optim: Mapping[str, Any], lr: float, steps: int, steps_per_epoch: int, whole_batches: int
) -> Callable[[int], float]:
    schedule = optim.get("schedule") or {"name": "constant"}
    match schedule:
        case {"name": "constant"}:
            return lambda step: 1.0
        case {"name": "cosine", "warmup": warmup}:
            rise = max(1, round(float(warmup) * steps))
            fall = max(1, steps - rise)
            return lambda step: min((step + 1) / rise, 0.5 + 0.5 * math.cos(math.pi * max(0, step - rise) / fall))
        case {"name": "milestones", "at": fractions, "factor": factor}:
            marks = [round(float(fraction) * steps) for fraction in fractions]
            return lambda step: factor ** sum(step >= mark for mark in marks)
        case {"name": "sgdr", "first": first, "factor": factor, "lowest": lowest}:
            check_cycles(first, factor)
            return lambda step: sgdr(step, steps_per_epoch, whole_batches, lr, first, factor, float(lowest)) / lr
    raise UserError(f"optim.schedule={dict(schedule)} is not complete; conf/optim shows {', '.join(SCHEDULES)} whole")
