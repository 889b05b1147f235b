"""F against scipy and against sums of squares written out."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from scipy.stats import f as f_distribution
from scipy.stats import f_oneway
from torch import Tensor

from src.core.errors import UserError
from src.methods.invariance.anova import Design, anova
from src.methods.invariance.passes import Examination, Setup
from tests.methods.invariance.given import examined
from tests.methods.invariance.sets import Rotations, network, photos
from tests.methods.invariance.test_variance import everything


def repeated(values: Tensor) -> Tensor:
    """(S, T, units): the textbook's sums of squares."""
    images, groups = values.shape[:2]
    grand = values.mean((0, 1))
    total = (values - grand).square().sum((0, 1))
    between_groups = images * (values.mean(0) - grand).square().sum(0)
    between_images = groups * (values.mean(1) - grand).square().sum(0)
    chance = total - between_groups - between_images
    return (between_groups / (groups - 1)) / (chance / ((groups - 1) * (images - 1)))


@pytest.mark.parametrize("before", ["none", "mean"])
def test_f_of_every_unit(before: Any) -> None:
    images = photos(9)
    kept = everything(network(), images, Rotations())
    examination = Examination(network(), images, Rotations(), setup=Setup(before=before, dtype=torch.float64))
    designs: tuple[Design, ...] = ("independent", "repeated")
    for design in designs:
        for each in anova(examination, design=design):
            values = kept[each.layer.name]
            values = values.mean((3, 4)) if before == "mean" and values.ndim == 5 else values
            assert each.f.shape == values.shape[2:]
            flat, found = values.flatten(2), each.f.flatten()
            alive = (flat - flat[:1, :1]).abs().amax((0, 1)) > 1e-9
            assert each.dead == int((~alive).sum()) == int(found.isnan().sum())
            if design == "repeated":
                expected = repeated(flat)
            else:
                expected = torch.from_numpy(f_oneway(*flat.unbind(1)).statistic)
            torch.testing.assert_close(found[alive], expected[alive], atol=1e-9, rtol=1e-7)


@pytest.mark.parametrize("change", [{"batch": 4}, {"batch": 1000}, {"memory_gb": 0.0006}])
def test_chunks_and_groups_change_nothing(change: dict[str, Any]) -> None:
    one, other = (
        anova(Examination(network(), photos(14), Rotations(), setup=Setup(dtype=torch.float64, **more)))
        for more in ({}, change)
    )
    for each, same in zip(one, other, strict=True):
        torch.testing.assert_close(each.f, same.f, atol=1e-9, rtol=1e-9, equal_nan=True)


def test_the_level_is_shared_among_the_tests() -> None:
    found = anova(Examination(network(), photos(9), Rotations()), level=0.05)
    tests = sum(each.f.numel() - each.dead for each in found)
    expected = float(f_distribution.ppf(1 - 0.05 / tests, 3, 24))
    assert [each.critical for each in found] == pytest.approx([expected] * len(found), rel=1e-6)


def test_noise_is_found_as_rarely_as_the_level_says() -> None:
    noise = torch.randn(30, 6, 4000, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    constant_part = noise + 3 * noise[:, :1].roll(1, 0)  # images differ, which only repeated measures take out
    designs: tuple[tuple[Design, int], ...] = (("independent", 6 * 29), ("repeated", 5 * 29))
    for design, within in designs:
        # a single test has a lower critical value than one of 4000
        critical = float(f_distribution.isf(0.05, 5, within))
        for values in (noise, constant_part):
            found = anova(examined(values), level=0.05, design=design)[0]
            share = float((found.f > critical).double().mean())
            low, high = (0.0, 0.001) if design == "independent" and values is constant_part else (0.04, 0.06)
            assert low <= share <= high and found.moved.sum() <= 1


def test_a_small_shift_beside_large_differences_of_images() -> None:
    generator = torch.Generator().manual_seed(2)
    images = 10 * torch.randn(40, 1, 1, generator=generator, dtype=torch.float64)
    shift = torch.arange(5, dtype=torch.float64)[:, None] * torch.tensor([0.0, 0.5])
    values = images + shift + 0.3 * torch.randn(40, 5, 2, generator=generator, dtype=torch.float64)
    assert anova(examined(values), design="repeated")[0].moved.tolist() == [False, True]
    assert anova(examined(values), design="independent")[0].moved.tolist() == [False, False]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_nothing_by_nothing_has_a_stated_value(dtype: torch.dtype) -> None:
    values = torch.zeros(6, 4, 4)
    values[..., 0] = 0.7  # never changes
    values[..., 1] = torch.rand(6)[:, None]  # only images do
    values[..., 2] = torch.rand(4)  # only the transformation does
    values[..., 3] = torch.rand(6, 4)
    found = anova(examined(values, dtype=dtype))[0]
    assert found.dead == 1 and found.f[0].isnan() and found.f[1] == 0 and found.f[2].isinf() and found.f[3].isfinite()
    assert found.moved.tolist() == [False, False, True, False] and found.share == pytest.approx(1 / 3)
    nothing = anova(examined(torch.ones(4, 3, 2)))[0]
    assert nothing.dead == 2 and nothing.share != nothing.share


def test_bad_input() -> None:
    values = torch.rand(4, 3, 2)
    with pytest.raises(UserError, match="transformation: has one member"):
        anova(examined(values[:, :1]))
    with pytest.raises(UserError, match="after=mean: units are tested one by one"):
        anova(examined(values, after="mean"))
