"""Augmentation by random members of a family of transformations: `augment.transformation`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from src.core.errors import UserError
from src.core.seeds import stream
from src.data.augment import crop_and_flip, draw, draw_transformations, transform
from src.data.datamodule import ImageData
from src.data.epoch_loader import Call, EpochLoader
from src.data.image_set import ImageSet, Splits
from src.data.relabelled import relabelled
from src.data.streaming import StreamingImages
from tests.data.conftest import MakeSet
from tests.imageops.transformations.conftest import drawn

TURNS = {"family": "rotation", "corners": "reflect"}
NOISE = {"family": "noise", "low": 0.05}
BOTH = {"family": "composition", "parts": [{"family": "rot90"}, {"family": "scale"}], "fill": 0.5}
CROPS: dict[str, Any] = {"crop_padding": 2, "flip": True}
WHEN: dict[str, Any] = {"seed": 1, "epoch": 2, "step": 3}


@pytest.fixture
def images() -> Tensor:
    return torch.randint(0, 256, (40, 3, 10, 10), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("options", [TURNS, NOISE, BOTH], ids=lambda options: options["family"])
def test_images_are_transformed_by_their_draws(images: Tensor, options: dict[str, Any]) -> None:
    expected = drawn(options, images, stream(1, "transformation", 2, 3))
    assert torch.equal(transform(images, options, draw_transformations(options, 40, **WHEN)), expected)
    assert not torch.equal(expected, images) and expected.dtype == torch.uint8


def test_is_a_pure_function_of_seed_epoch_and_step(images: Tensor) -> None:
    def make(**changes: int) -> Tensor:
        return transform(images, TURNS, draw_transformations(TURNS, 40, **(WHEN | changes)))

    reference = make()
    torch.manual_seed(99)
    assert torch.equal(make(), reference)
    for change in ({"seed": 0}, {"epoch": 0}, {"step": 0}):
        assert not torch.equal(make(**change), reference)


def loaded(images: ImageSet, options: dict[str, Any], **how: Any) -> list[Call]:
    how = {"per_call": 2, "augment": CROPS | {"transformation": options}, **how}
    return list(EpochLoader(images.images, images.labels, 8, seed=3, epoch=lambda: 1, **how))


@pytest.mark.parametrize("options", [TURNS, NOISE, BOTH], ids=lambda options: options["family"])
def test_an_epoch_is_the_same_however_it_is_cut(make_set: MakeSet, options: dict[str, Any]) -> None:
    images = make_set()
    order = torch.randperm(len(images), generator=stream(3, "order", 1))
    when: dict[str, Any] = {"seed": 3, "epoch": 1, "step": 0}
    turned = transform(images.images[order], options, draw_transformations(options, len(images), **when))
    expected = crop_and_flip(turned, draw(len(images), **CROPS, **when), 2)
    for per_call in (1, 2, 16):
        assert torch.equal(torch.cat([call.images for call in loaded(images, options, per_call=per_call)]), expected)
    halves = [loaded(images, options, unit=2, process=(number, 2)) for number in range(2)]
    found = [parts for calls in zip(*halves, strict=True) for parts in _by_batch(calls)]
    assert torch.equal(torch.cat(found), expected)


def _by_batch(calls: tuple[Call, ...]) -> list[Tensor]:
    """The batches of one call of several processes, put together."""
    parts = [call.images.split([share.ours for share in call.shares]) for call in calls]
    return [torch.cat(batch) for batch in zip(*parts, strict=True)]


def make(**options: Any) -> ImageData:
    how: dict[str, Any] = {"classes": [0, 3], "splits": {"validation": 0.2}, "batch_size": 1000, "shuffle_seed": 3}
    source = {"name": "glyphs", "size": 16, "train_per_class": 20, "test_per_class": 6}
    return ImageData(source, **(how | options))


def test_training_images_alone_are_transformed() -> None:
    data, plain = make(augment={"transformation": TURNS}), make()
    for part, unchanged in ((data, plain), (relabelled(data, [0, -1], ["disc"]), relabelled(plain, [0, -1], ["disc"]))):
        (call,), (old,) = part.train_dataloader(), unchanged.train_dataloader()
        assert torch.equal(call.images, drawn(TURNS, old.images, stream(3, "transformation", 0, 0)))
        (held_out,) = part.val_dataloader()
        seen = part.on_after_batch_transfer(held_out, 0).images
        assert torch.equal(seen, unchanged.tensor("validation")[0])


def test_the_digest_follows_the_transformation_and_is_the_old_one_without() -> None:
    ways: list[dict[str, Any]] = [{}, *({"transformation": one} for one in (TURNS, NOISE, BOTH, {"family": "rot90"}))]
    assert len({make(augment=CROPS | way).digest() for way in ways}) == len(ways)
    assert make(augment=CROPS | {"transformation": None}).digest() == make(augment=CROPS).digest()


class Wide(ImageData):
    """Images that are not square."""

    def _load(self) -> Splits:
        generator = torch.Generator().manual_seed(0)
        images = torch.randint(0, 256, (20, 3, 8, 12), dtype=torch.uint8, generator=generator)
        made = ImageSet(images, torch.arange(20) % 2, ("a", "b"))
        return Splits(made, made.select(torch.arange(2)))


def test_sizes_that_cannot_be_are_named_before_the_training() -> None:
    with pytest.raises(UserError, match=r"data\.augment\.transformation\.family=rot90: .* 8x12 images"):
        Wide({"name": "wide"}, augment={"transformation": {"family": "rot90"}}).setup()
    with pytest.raises(UserError, match=r"data\.augment\.transformation\.side=8: the images have 8x12"):
        Wide({"name": "wide"}, augment={"transformation": {"family": "translation", "shift": 2, "side": 8}}).setup()
    data = Wide({"name": "wide"}, augment={"transformation": {"family": "rotation"}}, splits={"validation": 0.2})
    (call,) = data.train_dataloader()
    assert data.on_after_batch_transfer(call, 0).images.shape[1:] == (3, 8, 12)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"augment": {"transformation": "rotation"}}, r"data\.augment\.transformation=rotation: give a mapping"),
        ({"augment": {"transformation": {}}}, r"data\.augment\.transformation\.family=None: known: blur"),
        ({"augment": {"transformation": TURNS | {"degrees": 400}}}, r"data\.augment\.transformation\.degrees=400"),
        ({"augment": {"transformation": TURNS | {"angle": 3}}}, r"data\.augment\.transformation\.angle: the family"),
        ({"augment": {"transformations": TURNS}}, r"data\.augment\.transformations: .*did you mean 'transformation'"),
        (
            {"augment": {"transformation": TURNS}, "contrast": "zca"},
            r"data\.augment\.transformation: with data\.contrast=zca images are whitened once",
        ),
    ],
)
def test_mistakes_are_named_in_one_line(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message) as error:
        make(**options)
    assert "\n" not in str(error.value)


def test_images_in_files_are_not_transformed(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"data\.augment\.transformation: images in files are cut out before"):
        StreamingImages({"name": "imagenet", "root": str(tmp_path)}, augment={"crop": 24, "transformation": TURNS})
