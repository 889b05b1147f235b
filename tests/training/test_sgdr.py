"""The published learning rates, written out."""

import math

import pytest

from src.training.sgdr import cycle_ends, sgdr

STEPS, WHOLE = 391, 390  # of 50,000 images in batches of 128


def rate(epoch: int, batch: int) -> float:
    """At the ``batch``-th step of an epoch, from 1."""
    return sgdr(epoch * STEPS + batch - 1, STEPS, WHOLE, 0.01)


def cosine(phase: float) -> float:
    return 0.00001 + 0.5 * 0.00999 * (1 + math.cos(math.pi * phase))


@pytest.mark.parametrize(
    ("epoch", "batch", "phase"),
    [
        (0, 1, 1 / 3900),
        (0, 390, 390 / 3900),
        (0, 391, 391 / 3900),  # past the epoch's end by one batch
        (1, 1, 391 / 3900),  # so the same again
        (9, 391, 3901 / 3900),
        (10, 1, 3901 / 3900),  # the cycle is advanced after the step's rate is known
        (10, 2, 2 / 7800),
        (30, 1, 7801 / 7800),
        (30, 2, 2 / 15600),
        (70, 1, 15601 / 15600),
        (70, 2, 2 / 31200),
        (149, 391, 31201 / 31200),
    ],
)
def test_published_rates(epoch: int, batch: int, phase: float):
    assert rate(epoch, batch) == pytest.approx(cosine(phase), rel=1e-12, abs=0)


def test_the_rates_in_numbers():
    assert rate(0, 1) == pytest.approx(9.9999984e-3, rel=1e-8)
    assert rate(5, 1) == pytest.approx(5.003e-3, rel=1e-3)
    assert rate(10, 1) == pytest.approx(1.0000e-5, rel=1e-3)  # "the first step of a restart epoch still has 1e-5"
    assert rate(10, 2) == pytest.approx(0.01, rel=1e-6)


def test_cycles_end():
    assert cycle_ends(150) == [9, 29, 69, 149]
    assert cycle_ends(149) == [9, 29, 69]
    assert cycle_ends(5) == []
    assert cycle_ends(4, 1, 1) == [0, 1, 2, 3]


def test_fewer_images_than_a_batch():
    assert sgdr(0, 1, 0, 1.0, first=2, lowest=0.0) == pytest.approx(0.5)
