"""The traced memory against autograd's own saved tensors, the closed formula, and real processes."""

from __future__ import annotations

import pytest
import torch

from src.methods.widths.variants import baseline, variants
from src.networks.memory import Training, measure, trace
from src.networks.memory.planning import safe_bound, saved_bytes
from src.networks.memory.training import made_ready, passes
from src.networks.models import build

SHAPE = [3, 32, 32]


def vgg(widths: tuple[int, ...], **options: object) -> dict[str, object]:
    return {"name": "vgg", "classes": 10, "input_shape": SHAPE, "widths": list(widths), **options}


SMALL = baseline(features=1 / 8).widths


@pytest.mark.parametrize("widths", [baseline().widths, variants()[0].widths, variants()[192].widths])
def test_the_closed_formula_is_what_the_trace_finds(widths: tuple[int, ...]) -> None:
    found = trace(Training(vgg(widths), 128))
    assert found.saved == pytest.approx(saved_bytes(widths, 128, SHAPE, 10), rel=2e-3)
    model = build(vgg(widths))
    assert found.weights == sum(tensor.nbytes for tensor in (*model.parameters(), *model.buffers()))


def test_saved_bytes_of_published_figures() -> None:
    assert saved_bytes(baseline().widths, 128, SHAPE, 10) / 2**20 == pytest.approx(318.6, abs=0.05)
    assert saved_bytes(variants()[0].widths, 128, SHAPE, 10) / 2**20 == pytest.approx(2692, abs=0.5)


@pytest.mark.parametrize("options", [{}, {"skip": True}, {"batch_norm": None}])
def test_the_trace_agrees_with_saved_tensors_of_a_real_pass(options: dict[str, object]) -> None:
    training = Training(vgg(SMALL, **options), 8)
    model = made_ready(build(training.architecture), training)
    own = {parameter.untyped_storage().data_ptr() for parameter in [*model.parameters(), *model.buffers()]}
    kept: dict[int, int] = {}
    alive = []

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            kept[storage.data_ptr()] = storage.nbytes()
            alive.append(tensor)  # while it lives no other storage gets its address
        return tensor

    images, labels = torch.randn(8, *SHAPE), torch.zeros(8, dtype=torch.long)
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        next(iter(passes(model, images, labels, training)))
    assert trace(training).saved == pytest.approx(sum(kept.values()), rel=0.01)


def test_each_measure_saves_memory() -> None:
    whole = Training(vgg(variants(features=1 / 4)[0].widths), 64)
    plain = trace(whole)
    half = trace(Training(whole.architecture, 64, precision="bf16-mixed"))
    again = trace(Training(whole.architecture, 64, recompute=True))
    split = trace(Training(whole.architecture, 64, micro_batch=16))
    assert 0.4 < half.saved / plain.saved < 0.65
    assert 0.4 < again.saved / plain.saved < 0.65
    assert split.peak < 0.5 * plain.peak
    assert all(one.weights == plain.weights for one in (half, again, split))


def test_ghost_batches_and_waiting_images_are_counted() -> None:
    plain, ghosts = (trace(Training(vgg(SMALL), 32, ghost_batch=size)) for size in (None, 8))
    assert ghosts.saved >= plain.saved and ghosts.peak >= plain.peak
    ahead = trace(Training(vgg(SMALL), 32, steps_per_call=4))
    assert ahead.peak - plain.peak == 3 * 32 * (4 * 3 * 32 * 32 + 8)


def test_the_optimiser_bounds_a_small_batch() -> None:
    few, many = (trace(Training(vgg(variants()[192].widths), n)) for n in (4, 64))
    assert few.optimiser > few.passes and many.passes > many.optimiser
    assert few.optimiser >= 3 * few.weights * 0.99  # parameters, gradients and momentum


def test_tracing_draws_no_random_numbers() -> None:
    torch.manual_seed(0)
    expected = torch.rand(3)
    torch.manual_seed(0)
    trace(Training(vgg(SMALL), 4))
    assert torch.equal(torch.rand(3), expected)


def test_the_safe_bound_lies_above_the_trace() -> None:
    for widths in (baseline().widths, variants()[0].widths, variants()[192].widths):
        for architecture in (vgg(widths), vgg(widths, pad_widths=8, width=0.5)):
            bound = safe_bound(architecture, 32)
            assert bound is not None and bound > 1.5 * trace(Training(architecture, 32)).peak
    assert safe_bound({"name": "simcnn", "classes": 10, "input_shape": SHAPE}, 32) is None


@pytest.mark.slow
def test_a_real_process_needs_what_was_predicted() -> None:
    """The machine's constant cancels between two trainings; only what differs is judged, with a wide margin."""
    widths = variants(features=1 / 4)[0].widths
    small, large = (Training(vgg(widths), n) for n in (4, 36))
    grown = measure(large) - measure(small)
    assert grown == pytest.approx(trace(large).peak - trace(small).peak, rel=0.25)
