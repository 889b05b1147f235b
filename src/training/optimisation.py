"""Optimisers and learning-rate schedules by name."""

import math
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from src.core.errors import UserError, suggestion

OPTIMIZERS = {"sgd": torch.optim.SGD, "adam": torch.optim.Adam, "adamw": torch.optim.AdamW}
DEFAULT_RATE = 1e-3  # torch's, of all three
AXES = ("filter", "keras")
SCHEDULES = ("constant", "cosine", "milestones", "sgdr")


def build_optimizer(optim: Mapping[str, Any], model: nn.Module) -> Optimizer:
    """``{name: sgd, lr: .01, momentum: .9, weight_decay: 1e-4, ...}``; further keys go to the optimiser as they are.

    ``max_norm: {value: 2.0, axis: filter}`` bounds the weights after every step (:func:`bound_norms`).

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
    ``{name: sgdr, first: 10, factor: 2, lowest: 1e-5}`` starts anew after 10, 30, 70 ... epochs (:func:`sgdr`).

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


def bound_norms(optimizer: Optimizer, model: nn.Module, max_norm: Mapping[str, Any]) -> None:
    """Shorten the weights of ``model``'s convolutions and linear layers after each step (Srebro et al. 2004).

    ``filter`` bounds all weights that lead into one kernel or unit together, biases not, as in the maxout networks of
    Goodfellow et al. (ICML 2013, arXiv:1302.4389). ``keras`` is what Keras' constraint does by default (axis 0 of its
    layout), which the thesis on modular networks took (L. Friedrichsen 2020): of a convolution's kernel each column of
    its window by itself, much the weaker bound, of a linear layer all weights of a unit, of a bias the whole vector.

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


def sgdr(
    step: int,
    steps_per_epoch: int,
    whole_batches: int,
    lr: float,
    first: int = 10,
    factor: int = 2,
    lowest: float = 1e-5,
) -> float:
    """The learning rate of a step of a cosine that starts anew, each cycle longer (Loshchilov & Hutter, 1608.03983).

    As in Mundt et al. 2018 (arXiv:1812.05836) down to two peculiarities: the phase within an epoch is counted in whole
    batches, so a ragged last batch overshoots the cycle's end by one of them, and the first step of a restart still
    belongs to the old cycle.

    Args:
        step: number of the step, from 0.
        steps_per_epoch: batches per epoch, the ragged one included.
        whole_batches: batches of full size per epoch.
        lr: highest rate.
        first: epochs of the first cycle; each next one is ``factor`` times as long.
        lowest: rate at a cycle's end.
    """
    epoch, batch = divmod(step, steps_per_epoch)
    start, length = _cycle_of(epoch, first, factor)
    if batch == 0 and epoch == start and epoch > 0:
        start, length = _cycle_of(epoch - 1, first, factor)
    phase = (epoch - start + (batch + 1) / max(1, whole_batches)) / length
    return lowest + 0.5 * (lr - lowest) * (1 + math.cos(math.pi * phase))


def cycle_ends(epochs: int, first: int = 10, factor: int = 2) -> list[int]:
    """The last epoch of each cycle that ends within ``epochs``, counted from 0."""
    ends, end, length = [], -1, first
    while end + length < epochs:
        end += length
        ends.append(end)
        length *= factor
    return ends


def check_cycles(first: object, factor: object) -> None:
    """Raises UserError where they are no whole numbers from 1."""
    for key, value in {"first": first, "factor": factor}.items():
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise UserError(f"optim.schedule.{key}={value} is no whole number from 1; e.g. optim.schedule.{key}=2")


def _cycle_of(epoch: int, first: int, factor: int) -> tuple[int, int]:
    """First epoch and length of the cycle that ``epoch`` lies in."""
    start, length = 0, first
    while start + length <= epoch:
        start += length
        length *= factor
    return start, length
