"""Firing rates against loops over images and transformations."""

from __future__ import annotations

from math import nan
from typing import Any

import pytest
import torch
from torch import Tensor

from src.core.errors import UserError
from src.methods.invariance.firing import firing
from src.methods.invariance.passes import Examination, Setup
from tests.methods.invariance.given import examined
from tests.methods.invariance.sets import Rotations, network, photos


def plainly(values: Tensor, still: Tensor, rate: float) -> tuple[list[float], list[float]]:
    """(S, T, units) under the transformations and (S, units) without: scores and simpler ratios."""
    scores, simples = [], []
    for unit in range(values.shape[2]):
        found = []
        for sign in (1, -1):
            own, moved = sign * still[:, unit], sign * values[..., unit]
            ranked = own.sort(descending=True).values.tolist()
            count = round(rate * len(own))
            above = (ranked[count - 1] + ranked[count]) / 2 if ranked[count - 1] > ranked[count] else ranked[count]
            fired = [image for image in range(len(own)) if own[image] > above + 1e-9]
            if not fired:
                found.append((nan, nan))
                continue
            share = [sum(bool(value > above + 1e-9) for value in moved[image]) / values.shape[1]
                     for image in range(len(own))]  # fmt: skip
            everywhere = sum(share) / len(own)
            overall = len(fired) / len(own)
            found.append((sum(share[image] for image in fired) / len(fired) / overall, everywhere / overall))
        best = 0 if not found[0][0] < found[1][0] and found[0][0] == found[0][0] else 1
        scores.append(found[best][0])
        simples.append(found[best][1])
    return scores, simples


@pytest.mark.parametrize("identity", [0, None])
def test_scores_of_loops(identity: int | None) -> None:
    generator = torch.Generator().manual_seed(0)
    values = torch.randn(60, 5, 12, generator=generator, dtype=torch.float64)
    values += 2 * values[:, :1] * torch.rand(12, generator=generator)
    values[..., 6:].clamp_(min=0.5)  # ties
    values[..., 10] = -values[..., 10].clamp(min=1)  # only its negative fires
    values[..., 11] = 0.25
    found = firing(examined(values, identity=identity), rate=0.1)[0]
    scores, simples = plainly(values, values[:, 0], 0.1)
    expected = [torch.tensor(each, dtype=torch.float64) for each in (scores, simples)]
    torch.testing.assert_close(found.score, expected[0], atol=1e-12, rtol=1e-12, equal_nan=True)
    torch.testing.assert_close(found.simple, expected[1], atol=1e-12, rtol=1e-12, equal_nan=True)
    assert found.silent == 1 and found.score[11].isnan()
    three = found.score[:11].sort(descending=True).values[:3]
    assert found.top(0.2) == pytest.approx(float(three.mean()))


def test_untransformed_images_need_not_be_among_the_transformed() -> None:
    """Without a member that changes nothing, the images as they are are passed by themselves, and are none of T."""
    values = torch.randn(50, 4, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    examination = examined(values, identity=None)
    moves = examination.transformations
    moves.makers, moves.names = moves.makers[1:], moves.names[1:]  # type: ignore[attr-defined]
    found = firing(examination, rate=0.1)[0]
    scores, simples = plainly(values[:, 1:], values[:, 0], 0.1)
    assert found.score.tolist() == pytest.approx(scores) and found.simple.tolist() == pytest.approx(simples)


def test_a_shifted_mean_is_no_invariance() -> None:
    generator = torch.Generator().manual_seed(2)
    still = torch.randn(1000, 1, 3, generator=generator, dtype=torch.float64)
    values = still.repeat(1, 10, 1)  # the first unit is invariant
    values[:, 1:, 1:] = torch.randn(1000, 9, 2, generator=generator, dtype=torch.float64)
    values[:, 1:, 2] += 1  # the third fires more often under any transformation, for any image
    found = firing(examined(values), rate=0.01)[0]
    assert found.score[0] == pytest.approx(100) and found.simple[0] == pytest.approx(1)
    # the tenth that is the untransformed image itself fires
    assert found.score[1] < 20 and found.score[2] < 40
    assert abs(float(found.simple[1]) - 1) < 0.3 and found.simple[2] > 5


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("change", [{"batch": 4}, {"batch": 1000}, {"memory_gb": 0.0005}])
def test_batches_and_memory_change_nothing(change: dict[str, Any], dtype: torch.dtype) -> None:
    one, other = (
        firing(Examination(network(), photos(30), Rotations(), setup=Setup(dtype=dtype, **more)), rate=0.1)
        for more in ({}, change)
    )
    for each, same in zip(one, other, strict=True):
        torch.testing.assert_close(each.score, same.score, atol=1e-9, rtol=1e-9, equal_nan=True)
        assert each.score.shape == each.layer.shape


def test_a_constant_network_is_silent() -> None:
    found = firing(examined(torch.full((20, 3, 4), 0.3)))[0]
    assert found.silent == 4 and found.top() != found.top()


def test_bad_input() -> None:
    values = torch.rand(6, 3, 2)
    with pytest.raises(UserError, match="after=mean: units fire one by one"):
        firing(examined(values, after="mean"))
    with pytest.raises(UserError, match="memory_gb=1e-06: one unit of layer 'out'"):
        firing(examined(values, memory_gb=1e-6))
