"""Predictions from a few measured batches."""

from __future__ import annotations

import pytest

from src.methods.widths.variants import baseline, variants
from src.networks.memory import Training
from src.networks.memory.probing import batches, probe
from src.networks.memory.tracing import trace

MIB = 2**20


def vgg(widths: tuple[int, ...]) -> dict[str, object]:
    return {"name": "vgg", "classes": 10, "input_shape": [3, 32, 32], "widths": list(widths)}


EARLY, MIDDLE, LATE = (Training(vgg(variants()[number].widths), 128) for number in (0, 60, 192))


@pytest.mark.parametrize("training", [EARLY, LATE], ids=["early", "late"])
def test_chosen_batches_are_small_and_bound_by_activations(training: Training) -> None:
    small, large = batches(training)
    assert large == 2 * small <= 64
    found = trace(Training(training.architecture, small))
    assert found.passes > found.optimiser


def test_a_bent_peak_is_followed() -> None:
    """A straight line through the same two measurements leaves little of the 5 % that are promised."""
    asked: list[int] = []

    def machine(training: Training, device: str) -> int:
        asked.append(training.images)
        return round(1.04 * trace(training, device).peak) + 170 * MIB

    found = probe(MIDDLE, measured=machine)
    assert len(asked) == 2 and max(asked) <= 64
    truth = machine(MIDDLE, "cpu")
    assert found.total == found.at(128) == pytest.approx(truth, rel=1e-3)
    (first, low), (second, high) = found.measured
    straight = low + (high - low) / (second - first) * (128 - first)
    assert abs(straight - truth) > 0.03 * truth
    assert found.at(2) == pytest.approx(machine(Training(MIDDLE.architecture, 2), "cpu"), rel=1e-3)


def test_a_third_batch_where_the_machine_grows_unlike_the_trace() -> None:
    def machine(training: Training, device: str) -> int:
        extra = max(0, training.images - 16) * 4 * MIB  # a workspace that only larger batches get
        return trace(training, device).peak + 170 * MIB + extra

    found = probe(LATE, measured=machine)
    assert len(found.measured) == 3
    assert found.total == pytest.approx(machine(LATE, "cpu"), rel=0.05)


def test_a_small_training_is_measured_itself() -> None:
    training = Training(vgg(baseline(features=1 / 8).widths), 4)
    found = probe(training, measured=lambda one, device: 7 * MIB * one.images)
    assert found.measured == ((4, 28 * MIB),) and found.total == 28 * MIB


def test_micro_batches_are_probed_by_the_pass() -> None:
    training = Training(LATE.architecture, 256, micro_batch=128)
    asked: list[Training] = []

    def machine(one: Training, device: str) -> int:
        asked.append(one)
        return trace(one, device).peak

    found = probe(training, measured=machine)
    assert found.total == pytest.approx(trace(training).peak, rel=1e-3)
    assert all(one.batch == 2 * one.images and one.images <= 64 for one in asked)
