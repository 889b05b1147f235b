"""SGDR: a cosine that starts anew, each cycle longer than the one before (Loshchilov & Hutter, arXiv:1608.03983).

Set before every optimiser step, as in Mundt et al. 2018 (arXiv:1812.05836) down to two peculiarities: the phase within
an epoch is counted in whole batches, so a ragged last batch overshoots the cycle's end by one of them, and the first
step of a restart still belongs to the old cycle.
"""

import math

from src.core.errors import UserError


def sgdr(
    step: int,
    steps_per_epoch: int,
    whole_batches: int,
    lr: float,
    first: int = 10,
    factor: int = 2,
    lowest: float = 1e-5,
) -> float:
    """The learning rate of an optimiser step.

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
