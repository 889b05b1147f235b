"""Random kernels: as many per layer as the module has, and at random."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from src.methods.modularity.controls import random_kernels


def counts(keep: torch.Tensor, group_index: torch.Tensor) -> list[int]:
    return torch.bincount(group_index[keep], minlength=int(group_index.max()) + 1).tolist()


@settings(deadline=None, max_examples=50)
@given(st.lists(st.tuples(st.integers(1, 12), st.floats(0, 1)), min_size=1, max_size=5), st.integers(0, 2**32))
def test_each_layer_keeps_as_many(layers: list[tuple[int, float]], seed: int):
    group_index = torch.repeat_interleave(torch.arange(len(layers)), torch.tensor([size for size, _ in layers]))
    keep = torch.cat([torch.arange(size) < round(share * size) for size, share in layers])
    drawn = random_kernels(keep, group_index, torch.Generator().manual_seed(seed))
    assert drawn.dtype == torch.bool and drawn.shape == keep.shape
    assert counts(drawn, group_index) == counts(keep, group_index)


def test_generators_differ_and_repeat():
    group_index = torch.repeat_interleave(torch.arange(3), 20)
    keep = (torch.arange(60) % 20) < 10
    first, same, other = (random_kernels(keep, group_index, torch.Generator().manual_seed(seed)) for seed in (0, 0, 1))
    assert torch.equal(first, same)
    assert not torch.equal(first, other) and not torch.equal(first, keep)
    generator = torch.Generator().manual_seed(0)
    again = [random_kernels(keep, group_index, generator) for _ in range(2)]
    assert not torch.equal(*again), "draws of one generator are independent"


def test_every_kernel_has_the_same_chance():
    group_index = torch.repeat_interleave(torch.arange(2), torch.tensor([4, 6]))
    keep = torch.tensor([1, 0, 0, 0, 1, 1, 1, 0, 0, 0]).bool()
    generator = torch.Generator().manual_seed(0)
    shares = torch.stack([random_kernels(keep, group_index, generator) for _ in range(2000)]).double().mean(0)
    expected = torch.tensor([0.25] * 4 + [0.5] * 6, dtype=torch.float64)
    assert (shares - expected).abs().max() < 0.05  # four standard deviations
