from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from src.core.errors import UserError
from src.data.augment import global_contrast
from src.data.datamodule import ImageData
from src.data.epoch_loader import Call
from src.data.normalisation import statistics
from src.data.relabelled import relabelled
from src.imageops.whitening import Whitening

IMAGES = torch.randint(0, 256, (10, 3, 4, 4), dtype=torch.uint8)


def test_measured_published_and_given() -> None:
    mean, _ = statistics("train", IMAGES)
    torch.testing.assert_close(torch.tensor(mean), (IMAGES.float() / 255).mean((0, 2, 3)))
    assert statistics("imagenet", IMAGES) == ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
    assert statistics("mnist", IMAGES) == ([0.1307] * 3, [0.3081] * 3)
    assert statistics({"mean": 0.5, "std": [0.1, 0.2, 0.3]}, IMAGES) == ([0.5] * 3, [0.1, 0.2, 0.3])


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ("imagnet", "did you mean 'imagenet'"),
        ({"mean": [0.5]}, "expected mean and std"),
        ({"mean": [0.5, 0.5], "std": [1, 1]}, "the images have 3"),
        ({"mean": 0.5, "std": 0}, "positive"),
    ],
)
def test_what_is_wrong_is_named(wanted: Any, message: str) -> None:
    with pytest.raises(UserError, match=message):
        statistics(wanted, IMAGES)


def test_statistics_after_contrast_normalisation() -> None:
    mean, std = statistics("train", IMAGES, "global")
    values = global_contrast(IMAGES)
    torch.testing.assert_close(torch.tensor(mean), values.mean((0, 2, 3)), atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(torch.tensor(std), values.std((0, 2, 3), correction=0))
    assert statistics("none", IMAGES, "global") == ([0.0] * 3, [1.0] * 3)
    with pytest.raises(UserError, match=r"data\.normalisation=imagenet: was measured without data\.contrast=global"):
        statistics("imagenet", IMAGES, "global")


PARTS = ("train", "validation", "calibration", "test")


def make(**changes: Any) -> ImageData:
    options: dict[str, Any] = {
        "source": {"name": "glyphs", "size": 16, "train_per_class": 30, "test_per_class": 20},
        "classes": [0, 3, 5, 7],
        "splits": {"validation": 0.3, "calibration": 5},
        "batch_size": 8,
        "contrast": "zca",
    }
    data = ImageData(**(options | changes))
    data.setup()
    return data


def by(data: ImageData, of: str, part: str, kind: str = "zca", **options: Any) -> Tensor:
    """A part, whitened by the statistics of another."""
    return Whitening.fit(data.sets[of].images, kind, **options)(data.sets[part].images / 255)


@pytest.mark.parametrize("kind", ["per_pixel", "zca"])
def test_every_part_is_whitened_by_the_training_images(kind: str) -> None:
    data = make(contrast=kind, whitening={"eps": 0.01})
    assert (data.mean, data.std) == ([0.0] * 3, [1.0] * 3)
    for part in PARTS:
        found = data.tensor(part)[0]
        torch.testing.assert_close(found, by(data, "train", part, kind, eps=0.01))
        assert found.is_contiguous(memory_format=torch.channels_last)
        torch.testing.assert_close(data.normalise(data.sets[part].images), found)
    whitening = data.whitening
    assert whitening is not None and whitening.kind == kind
    torch.testing.assert_close(whitening(data.sets["test"].images / 255), data.tensor("test")[0])
    assert make(contrast="none").whitening is None


def test_with_scope_evaluation_each_part_has_its_own() -> None:
    data = make(whitening={"scope": "evaluation"})
    for part in PARTS:
        torch.testing.assert_close(data.tensor(part)[0], by(data, part, part))
    (event,) = data.events
    assert "their own statistics" in event


def test_a_subset_has_the_statistics_of_the_scope() -> None:
    for scope, shared in (("train", True), ("subset", False), ("evaluation", False)):
        data = make(whitening={"scope": scope})
        part = relabelled(data, [0, 1, -1, -1], ["a", "b"])
        of = data if shared else part
        expected = Whitening.fit(of.sets["train"].images, "zca")(part.sets["train"].images / 255)
        torch.testing.assert_close(part.tensor("train")[0], expected)


def calls_of(data: ImageData) -> list[Call]:
    return [data.on_after_batch_transfer(call, 0) for call in data.train_dataloader()]


def test_a_training_whitens_its_images_once(monkeypatch: pytest.MonkeyPatch) -> None:
    data = make(augment={"crop": 12, "flip": True}, splits={"validation": 0.3}, batch_size=1000)
    (call,) = calls_of(data)
    assert call.images.shape[1:] == data.input_shape == (3, 12, 12)
    (held_out,) = data.val_dataloader()
    middle = by(data, "train", "validation")[:, :, 2:14, 2:14]
    assert torch.equal(data.on_after_batch_transfer(held_out, 0).images, middle)
    loader = data.train_dataloader()
    monkeypatch.setattr(Whitening, "forward", lambda *_: pytest.fail("whitened again"))
    for again in loader:
        data.on_after_batch_transfer(again, 0)


def test_a_training_crop_is_one_of_the_whitened_image() -> None:
    data = make(augment={"crop": 12}, batch_size=1000)
    whole = by(data, "train", "train")
    ((crops, _, _),) = calls_of(data)
    windows = whole.unfold(2, 12, 1).unfold(3, 12, 1).permute(0, 2, 3, 1, 4, 5).reshape(-1, 3, 12, 12)
    for crop in crops:
        assert float((windows - crop).abs().amax((1, 2, 3)).min()) < 1e-4


def test_the_digest_tells_whitenings_apart() -> None:
    changes: list[dict[str, Any]] = [
        {"contrast": "none", "normalisation": "none"},
        {"contrast": "global", "normalisation": "none"},
        {"contrast": "per_pixel"},
        {},
        {"whitening": {"eps": 0.1}},
        {"whitening": {"rule": "add"}},
        {"whitening": {"scope": "subset"}},
    ]
    assert len({make(**change).digest() for change in changes}) == len(changes)
    assert make(whitening={"scope": "train"}).digest() == make().digest()
    half = [0, 1, -1, -1]
    alone = make(classes=[0, 3])
    assert relabelled(make(), half, ["a", "b"]).digest() != relabelled(alone, [0, 1], ["a", "b"]).digest()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"whitening": {"scope": "trian"}}, r"data\.whitening\.scope=trian: .* did you mean 'train'"),
        ({"whitening": {"rule": "ad"}}, r"data\.whitening\.rule=ad: .* did you mean 'add'"),
        ({"whitening": {"eps": 0}}, r"data\.whitening\.eps=0: allowed is a number above 0"),
        ({"whitening": {"ep": 1}}, r"data\.whitening\.ep: no such key; did you mean 'eps'"),
        ({"normalisation": "cifar100"}, r"was measured without data\.contrast=zca"),
        ({"augment": {"rgb_pca": 0.1}}, r"data\.augment\.rgb_pca=0\.1: with data\.contrast=zca"),
    ],
)
def test_mistakes_are_named_in_one_line(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message) as error:
        make(**changes)
    assert "\n" not in str(error.value)
