"""Which images are measured, and which classes are exchanged."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from src.core.errors import UserError
from src.data.image_set import ImageSet
from src.studies.invariance.images import chosen_images, exchanged
from src.studies.invariance.study import check
from tests.fakes.networks import images, subject
from tests.fakes.study import FakeSession
from tests.studies.invariance.given import measured_images, options


def test_as_many_images_of_each_class() -> None:
    session, uneven = FakeSession(), torch.tensor([0, 0, 0, 1, 1, 2, 2, 2, 0])
    test = ImageSet(images(9), uneven, subject().classes)
    few = chosen_images(test, 2, session)
    assert few.labels.tolist() == [0, 0, 1, 1, 2, 2] and torch.equal(few.images, images(9)[[0, 1, 3, 4, 5, 6]])
    assert session.events == ["study.images_per_class=2: 6 of 9 test images"]
    assert chosen_images(test, None, session) is test
    single = test.select(torch.tensor([0, 1, 3, 5, 6]))
    with pytest.raises(UserError, match="data: class 'class 1' has a single test image"):
        chosen_images(single, None, session)


@pytest.mark.parametrize(
    ("classes", "said"),
    [
        ([7], r"study.ambiguous=\[7\]: class 7 is not in the data"),
        (["class 9"], "study.ambiguous.* did you mean"),
        ([0, 1, 2], r"study.ambiguous=\[0, 1, 2\]: leaves no class"),
    ],
)
def test_ambiguous_classes_must_be_there_before_anything_is_measured(classes: list[Any], said: str) -> None:
    with pytest.raises(UserError, match=said):
        check(options(ambiguous=classes), measured_images())
    with pytest.raises(UserError, match=said):
        exchanged(options(ambiguous=classes), measured_images().classes)


def test_ambiguous_classes_are_given_by_name_or_number() -> None:
    assert exchanged(options(ambiguous=["class 2", 0]), subject().classes) == [2, 0]
    assert exchanged(options(), subject().classes) == []
