"""The peak of a training from measured steps at two or three small batches."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from src.networks.memory.measurement import measure
from src.networks.memory.tracing import Trace, trace
from src.networks.memory.training import Training

GROWTH = 0.05
"""Share of the target's peak by which the two batches must differ: much more than a measurement is uncertain."""
STRAIGHT = 0.1
"""Share by which measured and traced growth may differ before a third batch is measured."""


@dataclass(frozen=True)
class Probe:
    """Bytes ``constant + factor * traced``, with ``traced`` the peak of the trace.

    The trace is the larger of two lines in the batch and more (the optimiser's step bounds a small batch, and the
    layer at which the backward pass is largest changes as batches grow), so that a line through measurements alone
    misses by several percent; measurements over the trace lie on a line. ``measured``: (images per pass, bytes).
    """

    training: Training
    device: str
    constant: float
    factor: float
    measured: tuple[tuple[int, int], ...]

    def at(self, images: int) -> int:
        """Peak bytes with passes of ``images``."""
        return round(self.constant + self.factor * trace(sized(self.training, images), self.device).peak)

    @property
    def total(self) -> int:
        """Peak bytes of the training itself."""
        return round(self.constant + self.factor * trace(self.training, self.device).peak)


def probe(training: Training, device: str = "cpu", measured: Callable[[Training, str], int] = measure) -> Probe:
    """Measures ``training`` at two small batches, and at a third where they grow unlike the trace.

    A training whose batch is too small for that is measured itself.
    Raises MeasurementError where a measuring process fails.
    """
    sizes = batches(training, device)
    if len(sizes) == 1:
        found = measured(training, device)
        return Probe(training, device, found - trace(training, device).peak, 1.0, ((training.images, found),))
    points = [(n, measured(sized(training, n), device)) for n in sizes]
    constant, factor = line([(trace(sized(training, n), device).peak, found) for n, found in points])
    third = 2 * sizes[1]
    if abs(factor - 1) > STRAIGHT and third < training.images:
        points.append((third, measured(sized(training, third), device)))
        constant, factor = line([(trace(sized(training, n), device).peak, found) for n, found in points[1:]])
    return Probe(training, device, constant, factor, tuple(points))


def line(points: Sequence[tuple[int, int]]) -> tuple[float, float]:
    """(constant, factor) of the line through two (traced, measured) peaks."""
    (first, low), (second, high) = points
    factor = (high - low) / (second - first)
    return low - factor * first, factor


def batches(training: Training, device: str = "cpu") -> list[int]:
    """Two batches to measure, n and 2n with n at most a quarter of the target, or the target alone.

    Both are bound by activations: what the optimiser's step needs says nothing about a larger batch.
    """
    target = trace(training, device).peak
    n = max(2, training.images // 32)
    near = _traced(training, n, device)
    while 4 * n <= training.images:
        far = _traced(training, 2 * n, device)
        if near.passes > near.optimiser and far.peak - near.peak >= GROWTH * target:
            return [n, 2 * n]
        n, near = 2 * n, far
    return [training.images]


def sized(training: Training, images: int) -> Training:
    """The same training with passes of ``images``; of micro-batches two, as a third needs no more."""
    if training.micro_batch:
        return replace(training, micro_batch=images, batch=2 * images)
    return replace(training, batch=images)


def _traced(training: Training, images: int, device: str) -> Trace:
    return trace(sized(training, images), device)
