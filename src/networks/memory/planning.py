"""What to do so that a training fits: as little as possible, in a fixed order, and never silently."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import torch
from torch import nn

from src.core.errors import UserError
from src.networks.memory.budget import GIB
from src.networks.memory.tracing import trace
from src.networks.memory.training import Training
from src.networks.models import build
from src.networks.options import vgg_blocks

#: Measures that keep the batch whole, in order: what changes of a training, in words.
WHOLE: dict[str, tuple[dict[str, Any], str]] = {
    "bf16": ({"precision": "bf16-mixed"}, "the passes run in bf16"),
    "recompute": ({"recompute": True}, "activations are recomputed"),
}
MEASURES = (*WHOLE, "micro_batches")

Need = Callable[[Training], int]


class Plan(NamedTuple):
    """``training``: as it runs. ``predicted_bytes``: a safe bound where nothing had to be measured. ``measures``: a
    sentence for each measure taken."""

    training: Training
    predicted_bytes: int
    measures: tuple[str, ...] = ()


def plan(
    training: Training,
    budget_bytes: int,
    constant: Callable[[], int],
    allow: Sequence[str] = MEASURES,
    device: str = "cpu",
) -> Plan:
    """The first of these that fits: as given, bf16 autocast, activations computed again, micro-batches.

    A measure that is not allowed or saves nothing is left out. A micro-batch is the largest divisor of the batch that
    fits and is a multiple of ``training.ghost_batch``; without a ghost batch a batch is never split. Nothing is run but
    ``constant``, the bytes that the machine adds: once, where twice the formula plus 0.5 GiB does not fit.
    Raises UserError where nothing fits.
    """
    bound = safe_bound(training.architecture, training.batch)
    if bound is None:
        bound = 2 * trace(training, device).peak + GIB // 2
    else:
        images_ahead = training.batch * (training.steps_per_call - 1)
        bound += 2 * images_ahead * 4 * math.prod(training.architecture["input_shape"])
    if bound <= budget_bytes:
        return Plan(training, bound)
    added = constant()
    return search(training, budget_bytes, lambda step: trace(step, device).peak + added, allow)


def search(training: Training, budget_bytes: int, need: Need, allow: Sequence[str] = MEASURES) -> Plan:
    """The ladder itself, with ``need`` the bytes of a training."""
    needed, measures = need(training), []

    def sentence(words: str) -> str:
        return f"memory: {_gib(needed)} would be needed, {_gib(budget_bytes)} is there: {words}"

    for name, (change, words) in WHOLE.items():
        saving = replace(training, **change)
        if needed > budget_bytes and name in allow and saving != training:
            less = need(saving)
            if less < needed:
                measures.append(sentence(words))
                training, needed = saving, less
    if needed > budget_bytes and "micro_batches" in allow and training.ghost_batch:
        for size in divisors(training.batch, training.ghost_batch):
            split = replace(training, micro_batch=size)
            less = need(split)
            if less <= budget_bytes:
                count = training.batch // size
                measures.append(sentence(f"batches of {training.batch} are split into {count} of {size}"))
                return Plan(split, less, tuple(measures))
    if needed > budget_bytes:
        raise UserError(_too_large(training, needed, budget_bytes, need, "micro_batches" in allow))
    return Plan(training, needed, tuple(measures))


def divisors(batch: int, ghost_batch: int = 1) -> list[int]:
    """Sizes below ``batch`` that divide it and are multiples of ``ghost_batch``, largest first."""
    return [size for size in range(batch // 2, 0, -1) if batch % size == 0 and size % ghost_batch == 0]


def _gib(count: float) -> str:
    return f"{count / GIB:.1f} GiB" if count >= GIB else f"{count / 2**20:.0f} MiB"


def _too_large(training: Training, needed: int, there: int, need: Need, may_split: bool) -> str:
    sizes = divisors(training.batch)
    fits = next((n for n in sizes if n > 1 and need(replace(training, micro_batch=n, ghost_batch=n)) <= there), None)
    if fits and may_split:
        # ghost batches stay whole, so the batch norms of every variant of a sweep must agree on one size
        advice = f"set training.ghost_batch={fits} (for all variants of a sweep alike)"
    elif fits:
        advice = f"set data.batch_size={fits} or less, or allow micro_batches in memory.allow"
    else:
        advice = "no size of training.ghost_batch fits: choose a smaller network or image"
    return (
        f"data.batch_size={training.batch} with training.ghost_batch={training.ghost_batch or 'null'} needs "
        f"{_gib(needed)} of memory and {_gib(there)} is there: {advice}, or raise memory.budget_gb"
    )


def saved_bytes(widths: Sequence[int], batch: int, input_shape: Sequence[int], classes: int) -> int:
    """Bytes that VGG's forward pass leaves for the backward pass, in fp32 with batch norm, by a closed formula.

    They agree with autograd's own to 0.1 %: of each convolution its output (for batch norm) and its ReLU's, of each
    pool its output and indices of 8 bytes, of each image 8 bytes of label. Sums of skip connections save nothing more.
    """
    channels, height, side = input_shape
    convolutions, hidden = widths[:-2], widths[-2:]
    values = 4 * channels * height * side
    index = 0
    for count in vgg_blocks(len(widths)):
        values += sum(8 * width * height * side for width in convolutions[index : index + count])
        index += count
        if min(height, side) >= 2:
            height, side = height // 2, side // 2
            values += 12 * convolutions[index - 1] * height * side
    values += 8 * sum(hidden) + 5 * hidden[-1] + 4 * classes + 8
    return batch * values


def safe_bound(architecture: Mapping[str, Any], batch: int) -> int | None:
    """Twice the formula (saved bytes and three times the weights) plus 0.5 GiB; None where there is no formula."""
    if architecture["name"] != "vgg" or architecture.get("pools") is not None:
        return None
    with torch.device("meta"):
        model = build(architecture)
    layers = [module for module in model.children() if isinstance(module, nn.Conv2d | nn.Linear)]
    widths = [layer.weight.shape[0] for layer in layers[:-1]]
    weights = sum(parameter.nbytes for parameter in model.parameters())
    saved = saved_bytes(widths, batch, architecture["input_shape"], architecture["classes"])
    return 2 * (saved + 3 * weights) + GIB // 2
