"""Fewer test images are of all classes in turn, and that they are fewer is said."""

from __future__ import annotations

import torch

from src.data.image_set import ImageSet
from src.studies.images import chosen_images, fewer_images
from tests.fakes.study import FakeSession, pictures


def seven() -> ImageSet:
    return ImageSet(pictures(7), torch.tensor([0, 0, 0, 1, 2, 1, 2]), ("a", "b", "c"))


def test_fewer_images_are_of_all_classes_in_turn() -> None:
    assert chosen_images(seven(), 5).tolist() == [0, 1, 3, 4, 5]
    assert all(chosen_images(seven(), count).tolist() == list(range(7)) for count in (None, 7))


def test_images_that_are_left_out_are_an_event() -> None:
    session = FakeSession()
    assert len(fewer_images(seven(), None, session)) == 7 and not session.events  # type: ignore[arg-type]
    assert fewer_images(seven(), 4, session).labels.tolist() == [0, 0, 1, 2]  # type: ignore[arg-type]
    assert session.events == ["study.images=4: 4 of 7 test images"]


def test_a_round_that_is_not_whole_takes_classes_from_all_over() -> None:
    classes = tuple(map(str, range(10)))
    every = ImageSet(torch.zeros(20, 1, 2, 2, dtype=torch.uint8), torch.arange(20) // 2, classes)
    assert chosen_images(every, 4).tolist() == [0, 4, 10, 14], "of classes 0, 2, 5, 7 the first"
    assert chosen_images(every, 12).tolist() == [0, 1, 2, 4, 6, 8, 10, 11, 12, 14, 16, 18]
