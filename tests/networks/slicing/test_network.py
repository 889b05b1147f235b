"""Sliced networks: thread safety, running in parts, statistics of batch norm."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from src.networks.slicing import SlicedNetwork, extract, plan_for, recalibrate
from src.networks.slicing.network import tensors_of
from src.networks.slicing.recalibration import even_batches
from tests.networks.slicing.nets import at_least_one, tiny

IMAGE = (3, 16, 16)


def keeps(kernels: int, count: int) -> torch.Tensor:
    return torch.rand(count, kernels, generator=torch.Generator().manual_seed(1)) < 0.5


def test_threads_do_not_exchange_tensors() -> None:
    model = tiny("rescnn", batch_norm=True)
    plan = plan_for(model, IMAGE)
    network = SlicedNetwork(model, plan)
    chosen = at_least_one(plan, keeps(plan.kernels, 24))
    images = torch.randn(4, *IMAGE)
    before = {name: tensor.clone() for name, tensor in tensors_of(model).items()}

    def answer(keep: torch.Tensor) -> torch.Tensor:
        with torch.inference_mode():
            return network(network.cut(keep), images)

    alone = [answer(keep) for keep in chosen]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(answer, chosen))
    assert all(torch.equal(a, b) for a, b in zip(alone, together, strict=True))
    assert all(torch.equal(before[name], tensor) for name, tensor in tensors_of(model).items())


@pytest.mark.parametrize("name", ["simcnn", "rescnn"])
def test_running_in_parts_gives_the_same_bits(name: str) -> None:
    model = tiny(name)
    network = SlicedNetwork(model, plan_for(model, IMAGE))
    images = torch.randn(3, *IMAGE)
    whole = network(network.base, images)
    for step in (1, 6, 11, 20):
        state = network.run(network.base, network.start(images), 0, step)
        assert torch.equal(network.finish(network.base, state, step), whole)


def test_the_steps_that_groups_have_a_part_in() -> None:
    model = tiny("rescnn")
    boundaries = SlicedNetwork(model, plan_for(model, IMAGE)).boundaries
    assert boundaries[0] == 0 and boundaries == sorted(boundaries)
    assert boundaries[1] == model.step_of("conv_1")  # type: ignore[operator]  # conv_3 has the same kernels
    assert boundaries[-1] == model.step_of("conv_10")  # type: ignore[operator]


def test_gradients_reach_the_networks_own_weights() -> None:
    model = tiny("simcnn")
    plan = plan_for(model, IMAGE)
    network = SlicedNetwork(model, plan)
    keep = torch.ones(plan.kernels, dtype=torch.bool)
    keep[0] = False
    network(network.cut(keep), torch.randn(2, *IMAGE)).sum().backward()
    assert model.conv_0.weight.grad[0].abs().max() == 0
    assert model.conv_0.weight.grad[1:].abs().max() > 0


def test_statistics_of_a_sliced_call_are_those_of_the_extracted_network() -> None:
    model = tiny("rescnn", batch_norm=True)
    plan = plan_for(model, IMAGE)
    keep = at_least_one(plan, keeps(plan.kernels, 1)[0])
    images = torch.randn(23, *IMAGE)
    network = SlicedNetwork(model, plan)
    with torch.no_grad():
        states = [network.start(part) for part in even_batches(images, 8)]
        tensors, _ = network.recalibrated(network.cut(keep), states)
        slim = extract(model, plan, keep)
        stale = slim(images)
        recalibrate(slim, images, batch=8)
        assert torch.equal(network(tensors, images), slim(images))
    assert not torch.allclose(stale, slim(images))
