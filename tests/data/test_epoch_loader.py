"""Calls hold the images of a straightforward epoch, however they are cut."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from src.core.seeds import stream
from src.data.augment import crop_and_flip, draw, draw_colours, shift_colours
from src.data.datamodule import ImageData
from src.data.epoch_loader import Call, EpochLoader, InOrder, cut, share
from src.data.image_set import ImageSet
from tests.data.conftest import MakeSet

AUGMENT = {"crop_padding": 2, "flip": True}


def loader(images: ImageSet, batch_size: int = 8, epoch: int = 0, **options: Any) -> EpochLoader:
    how: dict[str, Any] = {"per_call": 2, "augment": AUGMENT, "seed": 3, **options}
    return EpochLoader(images.images, images.labels, batch_size, epoch=lambda: epoch, **how)


def reference(images: ImageSet, epoch: int, seed: int = 3) -> tuple[Tensor, Tensor]:
    """The epoch's images one by one."""
    order = torch.randperm(len(images), generator=stream(seed, "order", epoch))
    generator = stream(seed, "augment", epoch, 0)
    offsets = torch.randint(0, 5, (2, len(images)), generator=generator)
    flips = torch.rand(len(images), generator=generator) < 0.5
    size = images.shape[1]
    found = []
    for place, number in enumerate(order.tolist()):
        padded = torch.zeros(images.shape[0], size + 4, size + 4, dtype=torch.uint8)
        padded[:, 2:-2, 2:-2] = images.images[number]
        down, right = offsets[:, place].tolist()
        image = padded[:, down : down + size, right : right + size]
        found.append(image.flip(2) if flips[place] else image)
    return torch.stack(found), images.labels[order]


def whole(calls: list[Call]) -> tuple[Tensor, Tensor]:
    return torch.cat([call.images for call in calls]), torch.cat([call.labels for call in calls])


@pytest.mark.parametrize("epoch", [0, 1])
@pytest.mark.parametrize("per_call", [1, 2, 16])
def test_an_epoch_is_the_straightforward_one(make_set: MakeSet, epoch: int, per_call: int):
    images = make_set()
    calls = list(loader(images, epoch=epoch, per_call=per_call))
    found, labels = whole(calls)
    expected, answers = reference(images, epoch)
    assert torch.equal(found, expected) and torch.equal(labels, answers)
    assert [part.ours for call in calls for part in call.shares] == [8, 8, 8, 6]
    assert len(calls) == len(loader(images, per_call=per_call)) == {1: 4, 2: 2, 16: 1}[per_call]


def test_without_augmentation_each_image_comes_once(make_set: MakeSet):
    images = make_set()
    found, labels = whole(list(loader(images, augment={})))
    order = torch.randperm(30, generator=stream(3, "order", 0))
    assert torch.equal(found, images.images[order]) and torch.equal(labels, images.labels[order])


@pytest.mark.parametrize(
    ("size", "sizes"), [(8, [8, 8, 8, 6]), (29, [30]), (7, [7, 7, 7, 7, 2]), (100, [30]), (10, [10] * 3)]
)
def test_no_batch_of_one_image_is_left_over(make_set: MakeSet, size: int, sizes: list[int]):
    found = loader(make_set(), size)
    assert found.sizes == sizes and found.whole_batches == 30 // size
    calls = list(found)
    assert [part.whole for call in calls for part in call.shares] == sizes
    assert sum(len(call.images) for call in calls) == 30


@pytest.mark.parametrize("processes", [2, 3, 5])
def test_processes_share_each_batch_without_cutting_a_ghost(make_set: MakeSet, processes: int):
    images = make_set()
    alone = next(iter(loader(images, 10, per_call=16)))
    calls = [next(iter(loader(images, 10, per_call=16, unit=4, process=(i, processes)))) for i in range(processes)]
    for number, start in enumerate((0, 10, 20)):
        joined = []
        for call in calls:
            parts = call.shares
            before = sum(part.ours for part in parts[:number])
            assert parts[number].first % 4 == 0 and parts[number].whole == 10
            joined.append(call.images[before : before + parts[number].ours])
        assert torch.equal(torch.cat(joined), alone.images[start : start + 10])


@pytest.mark.parametrize(("count", "sizes"), [(8, [4, 4]), (9, [4, 5]), (10, [4, 4, 2]), (1, [1]), (3, [3]), (0, [0])])
def test_cut(count: int, sizes: list[int]):
    assert cut(count, 4) == sizes and cut(3, 1) == [1, 1, 1]


def test_shares():
    assert [share(10, 4, i, 2) for i in range(2)] == [(10, 0, 4), (10, 4, 6)]
    assert [share(9, 4, i, 2) for i in range(2)] == [(9, 0, 4), (9, 4, 5)]  # the last ghost takes the single image
    assert [share(4, 4, i, 2) for i in range(2)] == [(4, 0, 0), (4, 0, 4)]
    assert [share(5, 1, i, 2) for i in range(2)] == [(5, 0, 2), (5, 2, 3)]


def test_evaluation_is_in_order(make_set: MakeSet):
    images = make_set()
    calls = list(InOrder(images.images, images.labels, 8))
    assert [len(call.labels) for call in calls] == [8, 8, 8, 6]
    assert torch.equal(whole(calls)[0], images.images)
    halves = [list(InOrder(images.images, images.labels, 7, (i, 2))) for i in range(2)]
    assert sum(len(call.labels) for half in halves for call in half) == 30
    assert torch.equal(torch.cat([halves[0][1].images, halves[1][1].images]), images.images[7:14])


@pytest.mark.parametrize("per_call", [1, 3])
def test_what_is_drawn_by_step_is_drawn_for_the_images_of_each_batch(make_set: MakeSet, per_call: int):
    images = make_set()
    calls = list(loader(images, epoch=1, per_call=per_call, draws="step"))
    order = torch.randperm(30, generator=stream(3, "order", 1)).split([8, 8, 8, 6])
    for step, (rows, (found, labels, _)) in enumerate(
        zip(order, (batch for call in calls for batch in call.batches()), strict=True)
    ):
        draws = draw(len(rows), **AUGMENT, seed=3, epoch=1, step=step)
        assert torch.equal(found, crop_and_flip(images.images[rows], draws, 2))
        assert torch.equal(labels, images.labels[rows])


def calls_of(data: ImageData) -> list[Call]:
    return [data.on_after_batch_transfer(call, 0) for call in data.train_dataloader()]


def test_the_data_module_hands_out_calls_of_normalised_images():
    data = ImageData(
        {"name": "glyphs", "size": 16, "train_per_class": 20, "test_per_class": 6},
        classes=[0, 3], splits={"validation": 0.2}, batch_size=8, augment=AUGMENT, shuffle_seed=3,
    )  # fmt: skip
    images, labels = whole(calls_of(data))
    expected, answers = reference(data.sets["train"], 0)
    assert torch.equal(images, data.normalise(expected)) and torch.equal(labels, answers)
    assert images.is_contiguous(memory_format=torch.channels_last)
    (call,) = data.val_dataloader()
    assert torch.equal(data.on_after_batch_transfer(call, 0).images, data.tensor("validation")[0])


@pytest.mark.parametrize("per_call", [1, 16])
def test_crops_flips_and_colours(per_call: int):
    data = ImageData(
        {"name": "glyphs", "size": 16, "train_per_class": 20, "test_per_class": 6},
        classes=[0, 3], splits={"validation": 0.2}, batch_size=8, shuffle_seed=3,
        augment={"crop_padding": 1, "flip": True, "crop": 12, "flip_axis": "up_down", "rgb_pca": 0.5},
    )  # fmt: skip
    data.setup()
    train, when = data.sets["train"], {"seed": 3, "epoch": 0, "step": 0}
    order = torch.randperm(len(train), generator=stream(3, "order", 0))
    draws = draw(len(train), crop_padding=1, flip=True, spare=(4, 4), **when)
    cropped = crop_and_flip(train.images[order], draws, 1, 12, "up_down")
    assert data.colours is not None
    expected = data.normalise(shift_colours(cropped, draw_colours(len(train), 3, 0.5, **when), data.colours))
    data.per_call = per_call
    calls = calls_of(data)
    images, found = whole(calls)
    assert images.shape[1:] == data.input_shape == (3, 12, 12) and len(calls) == {1: 4, 16: 1}[per_call]
    torch.testing.assert_close(images, expected)
    assert torch.equal(found, train.labels[order])
    assert float((expected - data.normalise(cropped)).abs().mean()) > 0.05
    (call,) = data.val_dataloader()
    held_out = data.on_after_batch_transfer(call, 0).images
    assert torch.equal(held_out, data.normalise(data.sets["validation"].images[:, :, 2:14, 2:14]))


def test_a_call_takes_no_more_than_its_bytes(make_set: MakeSet, monkeypatch: pytest.MonkeyPatch):
    images = make_set()
    monkeypatch.setattr("src.data.epoch_loader.CALL_BYTES", 3 * 8 * 4 * images.images[0].numel())  # three batches
    assert loader(images, per_call=16).per_call == 3
    assert loader(images, per_call=2).per_call == 2
