from __future__ import annotations

import pytest
import torch

from src.data.loader import BatchLoader
from tests.data.conftest import MakeSet


def numbers(loader: BatchLoader) -> list[list[int]]:
    """Which images each batch holds, told by their first pixels."""
    known = {tuple(image.flatten()[:9].tolist()): k for k, image in enumerate(loader.images.images)}
    return [[known[tuple(image.flatten()[:9].tolist())] for image in batch.images] for batch in loader]


def test_training_batches_hold_every_image_once_in_an_order_of_the_epoch(make_set: MakeSet) -> None:
    epoch = 0
    loader = BatchLoader(make_set(), 8, seed=3, epoch=lambda: epoch)
    first = numbers(loader)
    assert sorted(number for batch in first for number in batch) == list(range(30))
    assert [len(batch) for batch in first] == [8, 8, 8, 6] and len(loader) == 4
    assert numbers(loader) == first
    epoch = 1
    assert numbers(loader) != first
    assert [batch.moment for batch in loader] == [(1, step) for step in range(4)]
    epoch = 0
    assert numbers(BatchLoader(make_set(), 8, seed=4, epoch=lambda: 0)) != first


def test_evaluation_batches_are_in_order(make_set: MakeSet) -> None:
    images = make_set()
    loader = BatchLoader(images, 29)
    assert torch.equal(torch.cat([batch.images for batch in loader]), images.images)
    assert [len(batch.labels) for batch in loader] == [29, 1] and len(loader) == 2
    assert all(batch.moment is None for batch in loader)


@pytest.mark.parametrize(("size", "sizes"), [(29, [30]), (30, [30]), (7, [7, 7, 7, 7, 2]), (100, [30]), (1, [1] * 30)])
def test_no_training_batch_of_one_image_is_left_over(make_set: MakeSet, size: int, sizes: list[int]) -> None:
    images = make_set()
    loader = BatchLoader(images, size, epoch=lambda: 0)
    assert [len(batch.labels) for batch in loader] == sizes and len(loader) == len(sizes)


def test_a_stopped_epoch_continues_with_the_next_batch(make_set: MakeSet) -> None:
    def make() -> BatchLoader:
        return BatchLoader(make_set(), 8, seed=3, epoch=lambda: 5)

    whole = numbers(make())
    stopped = make()
    iterator = iter(stopped)
    next(iterator), next(iterator)
    resumed = make()
    resumed.load_state_dict(stopped.state_dict())
    assert numbers(resumed) == whole[2:]
    assert numbers(resumed) == whole  # the next epoch begins at its beginning
    complete = make()
    list(complete)
    resumed.load_state_dict(complete.state_dict())
    assert numbers(resumed) == whole
