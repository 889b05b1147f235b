from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from torch import Tensor, nn

from src.core.errors import UserError
from src.data.augment import normalise
from src.data.datamodule import ImageData
from src.data.epoch_loader import Call
from src.data.splits import digests
from tests.data.conftest import of_class

GLYPHS = {"name": "glyphs", "size": 16, "train_per_class": 20, "test_per_class": 6}


def make(**changes: Any) -> ImageData:
    options: dict[str, Any] = {
        "source": GLYPHS,
        "classes": [0, 3, 5],
        "splits": {"validation": 0.2, "calibration": 2},
        "augment": {"crop_padding": 2, "flip": True},
        "batch_size": 8,
    }
    return ImageData(**(options | changes))


def test_parts_and_shapes() -> None:
    data = make()
    data.setup()
    sets = data.sets
    data.setup()
    assert data.sets is sets
    assert {name: len(part) for name, part in sets.items()} == {
        "train": 42, "validation": 12, "calibration": 6, "test": 18,
    }  # fmt: skip
    assert data.classes == ("disc", "bar", "two_dots")
    assert data.input_shape == (3, 16, 16)
    assert sets["test"].masks is not None


def test_tensors_are_normalised_by_the_training_part() -> None:
    data = make()
    images, labels = data.tensor("train")
    assert images.dtype == torch.float32 and images.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(images.mean((0, 2, 3)), torch.zeros(3), atol=1e-4, rtol=0)
    torch.testing.assert_close(images.std((0, 2, 3), correction=0), torch.ones(3), atol=1e-4, rtol=0)
    assert len(labels) == 42
    assert data.sets["test"].images.dtype == torch.uint8
    with pytest.raises(UserError, match="did you mean 'test'"):
        data.tensor("tests")


def test_contrast_is_normalised_before_the_channels() -> None:
    data = make(contrast="global", normalisation="none")
    images = data.tensor("train")[0]
    torch.testing.assert_close(images.mean((1, 2, 3)), torch.zeros(42), atol=1e-5, rtol=0)
    torch.testing.assert_close(images.std((1, 2, 3), correction=0), torch.ones(42), atol=1e-4, rtol=0)
    both = make(contrast="global")
    images = both.tensor("train")[0]
    torch.testing.assert_close(images.mean((0, 2, 3)), torch.zeros(3), atol=1e-4, rtol=0)
    torch.testing.assert_close(images.std((0, 2, 3), correction=0), torch.ones(3), atol=1e-4, rtol=0)
    assert len({make(normalisation="none").digest(), data.digest(), both.digest(), make().digest()}) == 4
    with pytest.raises(UserError, match=r"data\.contrast=globl: did you mean 'global'"):
        make(contrast="globl")


def test_without_contrast_the_digest_is_the_one_from_before_there_was_a_choice() -> None:
    data = make()
    data.setup()
    found = hashlib.sha256()
    for part in ("train", "validation", "calibration"):
        images = data.sets[part]
        found.update(images.images.contiguous().numpy().tobytes() + images.labels.numpy().tobytes())
    crops = {"crop_padding": 2, "flip": True}
    found.update(repr([data.mean, data.std, crops, 8, 0, (3, 16, 16), ("disc", "bar", "two_dots")]).encode())
    assert data.digest() == found.hexdigest()


def test_new_ways_to_augment_change_the_digest_and_old_ones_do_not() -> None:
    plain = {"crop_padding": 2, "flip": True}
    ways: list[dict[str, Any]] = [{}, {"crop": 12}, {"flip_axis": "up_down"}, {"rgb_pca": 0.1}]
    assert len({make(augment=plain | way).digest() for way in ways}) == len(ways)
    assert make(augment=plain | {"crop": None, "rgb_pca": None}).digest() == make().digest()


def test_images_seen_by_a_model_are_cropped_and_raw_ones_are_not() -> None:
    data = make(augment={"crop": 12})
    assert data.input_shape == (3, 12, 12)
    seen, raw = data.tensor("test")[0], data.sets["test"].images
    whole = normalise(raw, data.mean, data.std)
    assert torch.equal(seen, whole[:, :, 2:14, 2:14]) and whole.shape == raw.shape == (18, 3, 16, 16)
    assert seen.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(data.normalise(raw), seen)


def test_the_protocol_without_a_held_out_part_says_so() -> None:
    data = make(splits={"validation": "test", "calibration": 0.0})
    data.setup()
    assert torch.equal(data.sets["validation"].images, data.sets["test"].images)
    assert len(data.sets["train"]) == len(make(splits={"validation": 0, "calibration": 0}).tensor("train")[1])
    (event,) = [event for event in data.events if "validation=test" in event]
    assert "flatters" in event
    with pytest.raises(UserError, match="validation"):
        make(splits={"validation": "tets"}).setup()


def test_splits_follow_the_data_seed() -> None:
    data, other = make(), make(seed=1, shuffle_seed=0)
    data.setup()
    other.setup()
    assert not torch.equal(data.split_indices["train"], other.split_indices["train"])


def test_caps_and_label_noise_touch_only_what_they_should() -> None:
    plain = make(caps={"train": {"default": 10, "bar": 5}, "test": 4})
    noisy = make(
        caps={"train": {"default": 10, "bar": 5}, "test": 4}, label_noise={"fraction": 0.5, "classes": ["disc"]}
    )
    plain.setup()
    noisy.setup()
    assert plain.sets["test"].per_class.tolist() == [4, 4, 4]
    assert sum(plain.sets[part].per_class for part in ("train", "validation", "calibration")).tolist() == [10, 5, 10]  # type: ignore[union-attr]
    for part in ("validation", "calibration", "test"):
        assert torch.equal(plain.sets[part].labels, noisy.sets[part].labels)
    wrong = plain.sets["train"].labels != noisy.sets["train"].labels
    assert torch.equal(wrong, noisy.mislabelled) and int(wrong.sum()) == 3
    assert plain.sets["train"].labels[wrong].unique().tolist() == [0]
    assert any("label_noise" in event for event in noisy.events)
    assert any("caps.train: 25 of 60" in event for event in plain.events)


def test_mix_of_one_source() -> None:
    data = make(classes=None, mix={"others": [10, 11, 12], "target": 2, "train_others": 12, "train_target": 6})
    data.setup()
    assert data.classes == ("heart", "three_dots", "ellipse", "star5")
    pool = sum(data.sets[part].per_class for part in ("train", "validation", "calibration"))
    assert pool.tolist() == [12, 12, 12, 6]  # type: ignore[union-attr]
    assert data.sets["test"].per_class.tolist() == [6, 6, 6, 6]


def test_the_target_of_the_mix_is_the_class_that_the_strong_model_knows() -> None:
    weak = make(classes=None, mix={"others": [10, 11], "target": 3})
    strong = make()
    strong.setup()
    weak.setup()
    assert torch.equal(weak.sets["test"].images[12:], of_class(strong.sets["test"], 1).images)


def test_mix_of_two_sources() -> None:
    digits = {"name": "digits", "size": 16, "channels": 3}
    mix = {"others": [3, 8], "target": [1, 0], "target_source": GLYPHS, "train_target": 5, "test_target": 4}
    data = make(source=digits, classes=None, mix=mix)
    data.setup()
    assert data.classes == ("3", "8", "triangle", "disc")
    assert data.sets["test"].per_class.tolist()[2:] == [4, 4]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"source": {}}, "has no name"),
        ({"source": {"name": "glyph"}}, "did you mean 'glyphs'"),
        ({"source": GLYPHS | {"sise": 32}}, "did you mean 'size'"),
        ({"classes": [0, 31]}, r"class 31 .* 0..23"),
        ({"classes": ["disk"]}, "did you mean 'disc'"),
        ({"mix": {"others": [1], "target": 0}}, "give one of them"),
        ({"classes": None, "mix": {"others": [1]}}, "target"),
        ({"classes": None, "mix": {"others": [1], "target": 1}}, "both target and other"),
        ({"classes": None, "mix": {"others": [1], "target": 99}}, "class 99"),
        ({"caps": {"trian": 1}}, "did you mean 'train'"),
        ({"augment": {"flips": True}}, "did you mean 'flip'"),
        ({"augment": {"crop": 17}}, r"data\.augment\.crop=17: the images have 16x16 pixels; take at most 16"),
        ({"normalisation": "cifar"}, "cifar10"),
    ],
)
def test_mistakes_are_named_in_one_line(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message) as caught:
        make(**changes).setup()
    assert "\n" not in str(caught.value)


class Recorder(pl.LightningModule):
    """Keeps what it is given."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(3 * 16 * 16, 3)
        self.seen: list[Tensor] = []
        self.validated: list[Tensor] = []

    def training_step(self, call: Call, index: int) -> Tensor:
        images, labels, _ = call
        self.seen.append(images.clone())
        return nn.functional.cross_entropy(self.layer(images.flatten(1)), labels)

    def validation_step(self, call: Call, index: int) -> None:
        self.validated.append(call.images.clone())

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.01)


def fit(folder: Path, data: ImageData, checkpoint: Path | None = None, **options: Any) -> tuple[Recorder, pl.Trainer]:
    trainer = pl.Trainer(
        default_root_dir=folder, accelerator="cpu", logger=False, enable_checkpointing=False,
        enable_progress_bar=False, enable_model_summary=False, num_sanity_val_steps=0, **options,
    )  # fmt: skip
    torch.manual_seed(0)
    model, data.per_call = Recorder(), 2
    trainer.fit(model, datamodule=data, ckpt_path=checkpoint)
    return model, trainer


def test_training_sees_augmented_and_validation_plain_images(tmp_path: Path) -> None:
    data = make()
    model, _ = fit(tmp_path, data, max_epochs=2)
    assert len(model.seen) == 6  # two epochs of 42 images in calls of two batches of 8
    assert not torch.equal(model.seen[0], model.seen[3])
    assert torch.equal(model.validated[0], data.tensor("validation")[0])


def test_a_run_is_extended_from_its_last_epoch(tmp_path: Path) -> None:
    whole, _ = fit(tmp_path, make(), max_epochs=3)
    _, trainer = fit(tmp_path, make(), max_epochs=2)
    trainer.save_checkpoint(tmp_path / "two.ckpt")
    extended, _ = fit(tmp_path, make(), tmp_path / "two.ckpt", max_epochs=3)
    assert len(extended.seen) == 3
    assert torch.equal(extended.layer.weight, whole.layer.weight)


def test_networks_that_take_a_half_each_share_no_training_image() -> None:
    source = {"name": "glyphs", "size": 16, "train_per_class": 9, "test_per_class": 2, "only": [0, 1, 2]}
    halves = {half: ImageData(source, splits={"validation": 0.0}, half=half) for half in ("first", "second", None)}
    for data in halves.values():
        data.setup()
    first, second, whole = (set(digests(data.sets["train"].images)) for data in halves.values())
    assert not first & second and first | second == whole and len(first) == 15 and len(second) == 12
    assert torch.equal(halves["first"].sets["test"].images, halves[None].sets["test"].images)
    mixed = ImageData(source, mix={"others": [2], "target": 0}, splits={"validation": 0.0}, half="second")
    mixed.setup()
    assert set(digests(mixed.sets["train"].images)) < second and len(mixed.sets["train"]) == 8
    with pytest.raises(UserError, match=r"data\.half=third: allowed are null, first, second"):
        ImageData(source, half="third")
