"""Which measures are taken, in which order, and what is said where nothing fits."""

from __future__ import annotations

import pytest

from src.core.errors import UserError
from src.networks.memory import Training
from src.networks.memory.planning import divisors, plan, search

GIB = 2**30
VGG = {"name": "vgg", "classes": 10, "input_shape": [3, 32, 32]}


def need(training: Training) -> int:
    """0.1 GiB, and activations of 0.1 GiB per 8 images that bf16 and recomputation halve."""
    images = training.images * 0.1 / 8
    images *= 0.5 if training.precision == "bf16-mixed" else 1
    images *= 0.5 if training.recompute else 1
    return round((0.1 + images) * GIB)


def at(ghost_batch: int | None = 16) -> Training:
    return Training(VGG, 128, ghost_batch=ghost_batch)


@pytest.mark.parametrize(
    ("budget", "precision", "recompute", "micro_batch", "measures"),
    [
        (1.8, "32-true", False, None, 0),
        (1.0, "bf16-mixed", False, None, 1),
        (0.55, "bf16-mixed", True, None, 2),
        (0.35, "bf16-mixed", True, 64, 3),
        (0.25, "bf16-mixed", True, 32, 3),
        (0.16, "bf16-mixed", True, 16, 3),
    ],
)
def test_as_little_as_needed_in_order(
    budget: float, precision: str, recompute: bool, micro_batch: int | None, measures: int
) -> None:
    found = search(at(), round(budget * GIB), need)
    assert (found.training.precision, found.training.recompute, found.training.micro_batch) == (
        precision,
        recompute,
        micro_batch,
    )
    assert len(found.measures) == measures
    assert found.predicted_bytes <= round(budget * GIB)


def test_what_is_said() -> None:
    found = search(at(), GIB, need, allow=["recompute"])
    assert found.measures == ("memory: 1.7 GiB would be needed, 1.0 GiB is there: activations are recomputed",)
    assert found.training.precision == "32-true"


def test_only_allowed_measures() -> None:
    found = search(at(), GIB // 2, need, allow=["micro_batches"])
    assert (found.training.precision, found.training.recompute, found.training.micro_batch) == ("32-true", False, 32)
    found = search(at(), GIB, need, allow=["micro_batches"])
    assert (found.training.recompute, found.training.micro_batch) == (False, 64)


def test_a_measure_that_saves_nothing_is_not_taken() -> None:
    def stubborn(training: Training) -> int:
        return need(training) + (GIB if training.precision == "bf16-mixed" else 0)

    found = search(at(), GIB, stubborn)
    assert found.training.precision == "32-true" and found.training.recompute and len(found.measures) == 1


def test_a_batch_is_not_split_without_a_ghost_batch() -> None:
    with pytest.raises(UserError) as caught:
        search(at(None), round(0.35 * GIB), need)
    text = str(caught.value)
    assert "\n" not in text
    for word in ("data.batch_size=128", "training.ghost_batch=null", "training.ghost_batch=64", "memory.budget_gb"):
        assert word in text


def test_the_largest_ghost_batch_that_fits_is_named() -> None:
    with pytest.raises(UserError, match=r"training\.ghost_batch=16 needs .* set training\.ghost_batch=4 "):
        search(at(16), round(0.115 * GIB), need)
    with pytest.raises(UserError, match="choose a smaller network"):
        search(at(16), round(0.1 * GIB), need)


def test_divisors() -> None:
    assert divisors(128) == [64, 32, 16, 8, 4, 2, 1]
    assert divisors(120, 20) == [60, 40, 20]
    assert divisors(128, 24) == []


def test_nothing_is_measured_where_it_certainly_fits() -> None:
    def forbidden() -> int:
        raise AssertionError("measured")

    found = plan(Training(VGG, 32), 4 * GIB, constant=forbidden)
    assert found.measures == () and found.predicted_bytes <= 4 * GIB
    small = {"name": "simcnn", "classes": 10, "input_shape": [3, 32, 32], "width": 0.125}
    assert plan(Training(small, 8), GIB, constant=forbidden).measures == ()
    with pytest.raises(AssertionError):
        plan(Training(VGG, 32), GIB // 2, constant=forbidden)


def test_a_real_network_in_too_little_memory() -> None:
    found = plan(Training(VGG, 128, ghost_batch=32), 480 * 2**20, constant=lambda: 170 * 2**20)
    assert found.training.precision == "bf16-mixed" and found.predicted_bytes <= 480 * 2**20
    assert "the passes run in bf16" in found.measures[0]
