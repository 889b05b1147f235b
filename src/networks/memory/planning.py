"""What to do so that a training fits: as little as possible, in a fixed order, and never silently."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from src.core.errors import UserError, suggestion
from src.networks.memory.formula import GIB, safe_bound
from src.networks.memory.prediction import Calibration, calibrate, predict
from src.networks.memory.probing import probe
from src.networks.memory.training import Training

MEASURES = ("bf16", "recompute", "micro_batches")
DOUBT = 0.15
"""Of the budget: that near a prediction without a run cannot tell, and where asked for a probe does."""

Need = Callable[[Training], int]


@dataclass(frozen=True)
class Plan:
    """How a training runs. ``measures``: a sentence for each measure taken. ``predicted_bytes``: a safe bound where
    nothing had to be measured."""

    precision: str
    recompute: bool
    micro_batch: int | None
    predicted_bytes: int
    budget_bytes: int
    measures: tuple[str, ...]


def plan(
    training: Training,
    budget_bytes: int,
    *,
    allow: Sequence[str] = MEASURES,
    method: str = "formula",
    can_recompute: bool = True,
    device: str = "cpu",
    calibration: Callable[[], Calibration] | None = None,
) -> Plan:
    """The first of these that fits: as given, bf16 autocast, activations computed again, micro-batches.

    A measure that is not allowed or saves nothing is left out. A micro-batch is the largest divisor of the batch that
    fits and is a multiple of ``training.ghost_batch``; without a ghost batch a batch is never split.
    ``method`` "formula" predicts without a run but for ``calibration`` (called once, where twice the formula plus 0.5
    GiB does not fit); "probe" also measures small batches where that is within 15 % of the budget.
    Raises UserError where nothing fits, and for an unknown measure or method.
    """
    _check(allow, method)
    bound = _bound(training, device)
    if bound <= budget_bytes:
        return _planned(training, bound, budget_bytes, ())
    constant = (calibration or (lambda: calibrate(device)))()
    if method == "probe":
        need = lambda step: _probed(step, budget_bytes, constant, device)  # noqa: E731
    else:
        need = lambda step: predict(step, constant, device).total  # noqa: E731
    return search(training, budget_bytes, need, allow, can_recompute)


def search(
    training: Training, budget_bytes: int, need: Need, allow: Sequence[str] = MEASURES, can_recompute: bool = True
) -> Plan:
    """The ladder itself, with ``need`` the bytes of a training."""
    needed = need(training)
    measures: list[str] = []
    for name, change, words in _whole(training, can_recompute):
        if needed <= budget_bytes:
            break
        if name not in allow:
            continue
        saving = change(training)
        less = need(saving)
        if less < needed:
            measures.append(_sentence(needed, budget_bytes, words))
            training, needed = saving, less
    if needed > budget_bytes and "micro_batches" in allow and training.ghost_batch:
        for size in divisors(training.batch, training.ghost_batch):
            less = need(replace(training, micro_batch=size))
            if less <= budget_bytes:
                words = f"batches of {training.batch} are split into {training.batch // size} of {size}"
                measures.append(_sentence(needed, budget_bytes, words))
                return _planned(replace(training, micro_batch=size), less, budget_bytes, measures)
    if needed > budget_bytes:
        raise UserError(_too_large(training, needed, budget_bytes, need, "micro_batches" in allow))
    return _planned(training, needed, budget_bytes, measures)


def divisors(batch: int, ghost_batch: int = 1) -> list[int]:
    """Sizes below ``batch`` that divide it and are multiples of ``ghost_batch``, largest first."""
    return [size for size in range(batch // 2, 0, -1) if batch % size == 0 and size % ghost_batch == 0]


def _whole(training: Training, can_recompute: bool) -> Iterator[tuple[str, Callable[[Training], Training], str]]:
    """The measures that keep the batch whole, in order."""
    if training.precision == "32-true":
        yield "bf16", lambda one: replace(one, precision="bf16-mixed"), "the passes run in bf16"
    if not training.recompute and can_recompute:
        yield "recompute", lambda one: replace(one, recompute=True), "activations are recomputed"


def _sentence(needed: int, there: int, words: str) -> str:
    return f"memory: {_gib(needed)} would be needed, {_gib(there)} is there: {words}"


def _gib(count: float) -> str:
    return f"{count / GIB:.1f} GiB" if count >= GIB else f"{count / 2**20:.0f} MiB"


def _planned(training: Training, needed: int, there: int, measures: Sequence[str]) -> Plan:
    return Plan(training.precision, training.recompute, training.micro_batch, needed, there, tuple(measures))


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


def _bound(training: Training, device: str) -> int:
    """Twice what is computed without a run plus 0.5 GiB; for VGG without any tensor, as every job of a sweep asks."""
    found = safe_bound(training.architecture, training.batch)
    if found is None:
        return 2 * predict(training, device=device).total + GIB // 2
    ahead = training.batch * (training.steps_per_call - 1) * 4 * math.prod(training.architecture["input_shape"])
    return found + 2 * ahead


def _probed(training: Training, there: int, constant: Calibration, device: str) -> int:
    rough = predict(training, constant, device).total
    return probe(training, device).total if abs(rough - there) <= DOUBT * there else rough


def _check(allow: Sequence[str], method: str) -> None:
    for name in allow:
        if name not in MEASURES:
            raise UserError(f"memory.allow: {name} is no measure; {suggestion(name, MEASURES)}")
    if method not in ("formula", "probe"):
        raise UserError(f"memory.predict={method}: {suggestion(method, ('formula', 'probe'))}")
