"""The studies of locality and of feature reliance on networks whose answers are known."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from src.artifacts.examined_subject import Examined
from src.core.errors import UserError
from src.core.result import Result
from src.data.image_set import ImageSet
from src.studies.feature_reliance import study as relying
from src.studies.locality import study as locality
from src.studies.protocol import study_options
from tests.fakes.study import FakeSession, network, pictures, run

SWEEPS = [{"name": "block_shuffle", "levels": [8, 4]}, {"name": "grayscale", "levels": [0.5, 1.0]}]
LOCALITY: dict[str, Any] = {"name": "locality", "operations": SWEEPS, "region": "all", "variants": 2, "patches": [2],
                            "fill": "black", "images": None, "pictures": 3, "batch": 5}  # fmt: skip
RELIANCE: dict[str, Any] = {
    "name": "feature_reliance", "variants": 2, "images": None, "batch": 5,
    "shape": [{"name": "block_shuffle", "levels": [8, 4]}, {"name": "block_rotation", "levels": [8]}],
    "texture": [{"name": "bilateral", "levels": [4]}, {"name": "low_pass", "levels": [1.0, 2.0]}],
    "colour": [{"name": "grayscale", "levels": [0.5, 1.0]}, {"name": "channel_shuffle", "levels": [1]}],
}  # fmt: skip


class ByColour(nn.Module):
    """Knows the mean colour alone."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(10.0))

    def forward(self, images: Tensor) -> Tensor:
        return self.scale * images.mean((2, 3))


def coloured(count: int = 24) -> ImageSet:
    """The class is the brightest of the three colours."""
    labels = torch.arange(count) % 3
    images = pictures(count) // 2
    images[torch.arange(count), labels] += 100
    return ImageSet(images, labels, ("class 0", "class 1", "class 2"))


def examined(model: nn.Module | None = None) -> Examined:
    subject = network() if model is None else replace(network(), model=model.eval())
    return Examined(subject, coloured(), coloured(0))


def measured(study: Any, options: dict[str, Any], subject: Examined) -> tuple[Any, Result]:
    found = study.estimate(subject, study_options(options), run())
    result = Result("measure", "test")
    result.add(*study.panels(found))
    result.conclude(study.verdict(found))
    return found, result


def test_a_network_of_colours_keeps_all_but_colour() -> None:
    found, result = measured(locality, LOCALITY, examined(ByColour()))
    assert found.clean.accuracy.value == 1.0 and found.areas["block_shuffle"] == 1.0
    grey = found.cells[-1]
    assert (grey.operation, grey.level) == ("grayscale", 1.0) and grey.accuracy.value < 0.6
    assert found.areas["grayscale"] < 1 and result.verdict_kind == ""
    assert found.interactions[2].ratio.value == pytest.approx(1, abs=1e-4)  # means add up
    assert result.metrics["area_block_shuffle"].value == 1.0 and "interaction_2px" in result.metrics
    assert result.images["perturbed_images"].ndim == 3 and result.tables["perturbed"]["step"] == [0, 1, 2, 0, 1, 2]
    assert found.shown == ("original", "block_shuffle 4", "grayscale 1")


def test_the_answers_do_not_hang_on_the_batch() -> None:
    one, _ = measured(locality, LOCALITY, examined())
    other, _ = measured(locality, {**LOCALITY, "batch": 24}, examined())
    assert [cell.accuracy for cell in one.cells] == [cell.accuracy for cell in other.cells]


def test_a_network_that_knows_nothing_has_no_verdict() -> None:
    blind = ByColour()
    blind.scale.data.zero_()
    for study, options in ((locality, LOCALITY), (relying, RELIANCE)):
        _, result = measured(study, options, examined(blind))
        assert result.verdict_kind == "no verdict" and "nothing can be lost" in result.verdict


def test_reliance_names_the_cue_that_is_used() -> None:
    found, result = measured(relying, RELIANCE, examined(ByColour()))
    assert found.by_cue["shape"].value == pytest.approx(0, abs=1e-9) and found.by_cue["colour"].low > 0.5
    assert result.verdict.startswith("100.0% right; of what it knows the network loses")
    assert result.verdict.index("without colour") < result.verdict.index("without shape")
    shuffled = next(each for each in found.suppressions if each.operation == "channel_shuffle")
    assert shuffled.losses[0].accuracy.value == 0 and shuffled.losses[0].drop.value == pytest.approx(1.5)
    assert not any(math.isnan(lost.value) for lost in found.by_cue.values())


def test_fewer_images_are_an_event() -> None:
    session = FakeSession()
    found = relying.estimate(examined(ByColour()), study_options({**RELIANCE, "images": 6}), run(session))
    assert found.images == 6 and session.events == ["study.images=6: 6 of 24 test images"]


@pytest.mark.parametrize(
    ("study", "options", "said"),
    [
        (locality, {**LOCALITY, "operations": [{"name": "block_shuffel", "levels": [8]}]}, "did you mean"),
        (locality, {**LOCALITY, "operations": [{"name": "block_shuffle", "levels": [7]}]}, "do not fill 16x16"),
        (locality, {**LOCALITY, "region": "inside"}, "no masks of objects"),
        (locality, {**LOCALITY, "patches": [20]}, "patches of 20 pixels do not fit 16x16"),
        (relying, {**RELIANCE, "colour": [{"name": "grayscale", "levels": [1.5]}] * 2}, "numbers from 0 to 1"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_told_before_anything_trains(study: Any, options: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError, match=said):
        study.check(study_options(options), coloured())


def test_one_operation_for_a_cue_is_not_enough() -> None:
    with pytest.raises(UserError, match=r"study\.colour"):
        study_options({**RELIANCE, "colour": RELIANCE["colour"][:1]})
