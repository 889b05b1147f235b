"""Pools: the anti-aliased one against its definition, and how much less a shift changes it."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from src.core.errors import UserError
from src.networks.models.pooling import POOLS, GlobalAverage, MaxBlurPool2d, pooled_size


def by_definition(x: Tensor) -> Tensor:
    """Dense max, reflection, a 3x3 binomial filter of stride 2."""
    channels = x.shape[1]
    kernel = torch.tensor([1.0, 2.0, 1.0], dtype=x.dtype)
    filters = (kernel[:, None] * kernel / 16).expand(channels, 1, 3, 3)
    dense = F.pad(F.max_pool2d(x, 2, 1), (1, 1, 1, 1), mode="reflect")
    return F.conv2d(dense, filters, stride=2, groups=channels)


@pytest.mark.parametrize("size", [(3, 3), (4, 4), (5, 8), (28, 28), (7, 32)])
@pytest.mark.parametrize("form", [torch.contiguous_format, torch.channels_last])
def test_max_blur_pool_is_what_its_paper_says(size: tuple[int, int], form: torch.memory_format) -> None:
    x = torch.randn(2, 3, *size, dtype=torch.float64).contiguous(memory_format=form)
    made = MaxBlurPool2d()(x)
    assert made.shape[2:] == (size[0] // 2, size[1] // 2) == F.max_pool2d(x, 2).shape[2:]
    assert torch.allclose(made, by_definition(x), atol=1e-14)


def test_its_gradient_is_that_of_the_definition() -> None:
    x = torch.randn(1, 2, 6, 7, dtype=torch.float64, requires_grad=True)
    weights = torch.randn(1, 2, 3, 3, dtype=torch.float64)
    (mine,) = torch.autograd.grad((MaxBlurPool2d()(x) * weights).sum(), x)
    (theirs,) = torch.autograd.grad((by_definition(x) * weights).sum(), x)
    assert torch.allclose(mine, theirs, atol=1e-14)


def test_a_shift_by_one_pixel_changes_an_anti_aliased_map_less() -> None:
    torch.manual_seed(0)
    x = torch.rand(16, 4, 18, 18)
    change = {}
    for kind in ("max", "blur"):
        one, other = (POOLS[kind]()(part)[:, :, 1:-1, 1:-1] for part in (x[..., :-2], x[..., 1:-1]))
        change[kind] = float(F.mse_loss(one, other) / one.var())
    assert change["blur"] < 0.5 * change["max"]


def test_kinds_of_pools() -> None:
    x = torch.arange(16.0).view(1, 1, 4, 4)
    assert POOLS["max"]()(x).flatten().tolist() == [5, 7, 13, 15]
    assert POOLS["average"]()(x).flatten().tolist() == [2.5, 4.5, 10.5, 12.5]
    assert isinstance(POOLS["blur"](), MaxBlurPool2d)
    assert GlobalAverage()(x.expand(2, 3, 4, 4)).tolist() == [[7.5] * 3] * 2


@pytest.mark.parametrize("kind", ["max", "average", "blur"])
def test_the_size_told_is_the_size_computed(kind: str) -> None:
    for side in range(1, 30):
        for pools in range(4):
            steps = nn.Sequential(*(POOLS[kind]() for _ in range(pools)))
            try:
                told = pooled_size("it", [1, side, 40], [0, 1, 2][:pools], kind)
            except UserError:
                with pytest.raises((RuntimeError, IndexError)):
                    steps(torch.zeros(1, 1, side, 40))
            else:
                assert steps(torch.zeros(1, 1, side, 40)).shape[2:] == told
