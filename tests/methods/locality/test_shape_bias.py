"""Shape bias and cue sensitivity, against counts by hand."""

from __future__ import annotations

import math
import random

import pytest
import torch

from src.core.errors import UserError
from src.data.class_names import CIFAR10
from src.data.cue_conflict import cues_of
from src.methods.locality.categories import category_scores, members_of, sixteen
from src.methods.locality.shape_bias import (
    ShapeBias,
    Trials,
    chance_reciprocal_rank,
    crossed_weights,
    sensitivity,
    shape_bias,
)


def trials(answers: list[int], shapes: list[int], textures: list[int], kinds: int = 4) -> Trials:
    count = torch.arange(len(answers))
    return Trials(torch.tensor(answers), torch.tensor(shapes), torch.tensor(textures), count % 3, count % 2,
                  tuple("abcdefgh"[:kinds]))  # fmt: skip


def judged(*arguments: list[int]) -> ShapeBias:
    shown = trials(*arguments)
    return shape_bias(shown, crossed_weights(shown.shape_source, shown.texture_source, resamples=200, seed=0))


def test_the_ratio_by_hand() -> None:
    found = judged([0, 0, 1, 3, 2, -1], [0, 0, 0, 0, 1, 1], [1, 1, 1, 1, 2, 2])
    assert (found.shape_hits, found.texture_hits, found.trials) == (2, 2, 6)
    assert found.ratio.value == 0.5 and found.shape.value == pytest.approx(1 / 3)
    assert found.by_category[0] == pytest.approx(2 / 3) and found.by_category[1] == 0.0
    assert math.isnan(found.by_category[2])
    assert found.ratio.low <= 0.5 <= found.ratio.high and found.ratio.unit == "shape pictures" and found.ratio.n == 3


def test_no_cue_used() -> None:
    assert judged([0, 1, 2, 3] * 4, [0] * 16, [1] * 16).no_cue_used
    assert not judged([0] * 16, [0] * 16, [1] * 16).no_cue_used


def test_resampling_of_both_sources_is_wider_than_of_images() -> None:
    """Answers that hang on the shape's picture: with 5 pictures the interval must not be that of 200 images."""
    shapes = torch.arange(200) % 5
    right = (shapes < 3).double()
    crossed = crossed_weights(shapes, torch.arange(200) % 40, resamples=400, seed=1)
    single = crossed_weights(torch.arange(200), torch.zeros(200, dtype=torch.long), resamples=400, seed=1)
    spread = [float(((w * right).sum(1) / w.sum(1)).std()) for w in (crossed, single)]
    assert spread[0] == pytest.approx((0.6 * 0.4 / 5) ** 0.5, rel=0.15) and spread[0] > 4 * spread[1]


def test_chance_of_reciprocal_ranks() -> None:
    assert chance_reciprocal_rank(10) == pytest.approx(0.2929, abs=1e-4)
    assert chance_reciprocal_rank(1000) == pytest.approx(0.0075, abs=5e-5)
    drawn = random.Random(0)
    best = [1 / min(drawn.sample(range(1, 21), 3)) for _ in range(20000)]
    assert chance_reciprocal_rank(20, 3) == pytest.approx(sum(best) / len(best), rel=0.02)


def test_sensitivity_by_hand() -> None:
    scores = torch.tensor([[0.1, 0.5, 0.4, 0.0], [0.9, 0.0, 0.05, 0.01]])
    shape = torch.tensor([[0, 1, 0, 0], [1, 0, 0, 0]]).bool()
    weights = torch.tensor([[2.0, 0.0], [1.0, 1.0], [0.0, 2.0]], dtype=torch.float64)
    found = sensitivity(scores, shape, torch.tensor([[0, 0, 1, 0], [0, 0, 1, 1]]).bool(), weights)
    assert found.shape.value == found.shape.low == pytest.approx(1 - chance_reciprocal_rank(4))
    expected = (1 / 2 + 1 / 2) / 2 - (chance_reciprocal_rank(4) + chance_reciprocal_rank(4, 2)) / 2
    assert found.texture.value == pytest.approx(expected)


def test_the_sixteen_categories() -> None:
    counts = {name: len(numbers) for name, numbers in sixteen().items()}
    assert counts == {"airplane": 1, "bear": 4, "bicycle": 2, "bird": 49, "boat": 5, "bottle": 7, "car": 3, "cat": 6,
                      "chair": 4, "clock": 3, "dog": 109, "elephant": 2, "keyboard": 2, "knife": 1, "oven": 1,
                      "truck": 8}  # fmt: skip
    every = [number for numbers in sixteen().values() for number in numbers]
    assert len(set(every)) == 207
    assert 217 in sixteen()["dog"] and 569 in sixteen()["truck"]


def test_means_of_members_are_not_renormalised() -> None:
    probabilities = torch.zeros(1, 1000)
    probabilities[0, 404], probabilities[0, 294:298] = 0.3, 0.15
    members = members_of(["airplane", "bear"], [str(k) for k in range(1000)])
    assert category_scores(probabilities, members).tolist() == [pytest.approx([0.3, 0.15])]
    assert category_scores(probabilities, members, "sum").tolist() == [pytest.approx([0.3, 0.6])]
    with pytest.raises(UserError, match=r"no class 'bear'.*knows 0 of their 2 categories, where two are needed"):
        members_of(["bear", "dog"], ["beer", "cat"])


def test_categories_that_a_network_does_not_know_are_left_out() -> None:
    members = members_of(["airplane", "boat", "car", "knife"], CIFAR10)
    assert members == {"airplane": [0], "boat": [8], "car": [1]}, "ship and automobile are boat and car"
    assert members_of(["car", "cat"], ["automobile", "car", "cat"])["car"] == [1], "its own name first"


def test_names_of_the_public_images() -> None:
    assert cues_of("airplane1-bicycle2.png") == ("airplane", 1, "bicycle", 2)
    assert cues_of("0001_cue_dnn_0_cat_00_cat7-truck3.png") == ("cat", 7, "truck", 3)
    assert cues_of("cat7.png") is None
