from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor
from torchvision.transforms.v2 import functional

from src.core.errors import UserError
from src.data import decoding
from src.data.augment import centre
from src.data.datamodule import ImageData
from src.data.decoding import Cut, decode, number_of_workers
from src.data.epoch_loader import Call
from src.data.file_images import FileImages
from src.data.opening import data_module
from src.data.relabelled import relabelled
from src.data.streaming import StreamingImages, files_of
from src.networks.activations import predict
from src.networks.models import build
from src.training.fitting import Training, fit
from src.training.learners.modular import Modular
from src.training.learners.monolithic import Monolithic
from tests.fakes.imagenet import ANIMAL, mean_of, write_image, write_imagenet

SIZE, CROP = 32, 24
Make = Callable[..., StreamingImages]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_imagenet(tmp_path / "imagenet")


@pytest.fixture
def make(folder: Path) -> Make:
    """A module over ten animals with 4 images each to train on, 1 to validate with and 2 to test on."""

    def made(**options: Any) -> StreamingImages:
        tree = {"levels": [2, 4]}
        source = {"name": "imagenet", "root": str(folder), "size": SIZE, "below": ANIMAL, "tree": tree}
        source |= options.pop("source", {})
        how = {"augment": {"crop": CROP, "flip": True}, "batch_size": 7, "eval_batch_size": 6, "workers": 0}
        return StreamingImages(source, **(how | options))

    return made


def epoch_of(data: StreamingImages, epoch: int) -> list[Call]:
    data.setup()
    return list(data.stream(lambda: epoch))


def same(one: list[Call], other: list[Call]) -> bool:
    return len(one) == len(other) and all(
        torch.equal(a.images, b.images) and torch.equal(a.labels, b.labels) for a, b in zip(one, other, strict=True)
    )


def resized(file: Path, side: int = SIZE) -> Tensor:
    """The whole image, its shorter side resized, by torchvision on Pillow's pixels."""
    with Image.open(file) as opened:
        picture = functional.resize(opened.convert("RGB"), side, functional.InterpolationMode.BILINEAR)
        return functional.pil_to_tensor(picture)


def test_the_middle_of_an_image_is_that_of_the_whole_one_resized(folder: Path) -> None:
    for file in sorted((folder / "train").rglob("*.JPEG"))[:3]:  # of three shapes
        whole = resized(file)
        found = torch.from_numpy(decode(str(file), Cut(SIZE, CROP)).copy()).permute(2, 0, 1)
        difference = (found.int() - centre(whole[None], CROP)[0].int()).abs()
        assert difference.max() <= 1  # rounding: torchvision resizes along one axis and rounds, then along the other


def test_random_squares_lie_anywhere_in_the_whole_image(tmp_path: Path) -> None:
    write_image(tmp_path / "a.JPEG", (SIZE, 50), np.random.default_rng(1))
    whole = resized(tmp_path / "a.JPEG")
    assert whole.shape == (3, SIZE, 50)

    def square(place: tuple[float, float, float], axis: str = "left_right") -> Tensor:
        pixels = decode(str(tmp_path / "a.JPEG"), Cut(SIZE, CROP, axis, flip=True), place)
        return torch.from_numpy(pixels.copy()).permute(2, 0, 1)

    last = 1 - 1e-12
    assert torch.equal(square((0.0, 0.0, 0.9)), whole[:, :CROP, :CROP])
    assert torch.equal(square((last, last, 0.9)), whole[:, -CROP:, -CROP:])
    assert torch.equal(square((0.5, 0.5, 0.9)), whole[:, 4 : 4 + CROP, 13 : 13 + CROP])
    assert torch.equal(square((0.0, 0.0, 0.1)), whole[:, :CROP, :CROP].flip(2))
    assert torch.equal(square((0.0, 0.0, 0.1), "up_down"), whole[:, :CROP, :CROP].flip(1))


def test_large_images_are_decoded_at_a_fraction_of_their_size(tmp_path: Path) -> None:
    write_image(tmp_path / "a.JPEG", (SIZE * 9, SIZE * 10), np.random.default_rng(1))
    found = torch.from_numpy(decode(str(tmp_path / "a.JPEG"), Cut(SIZE, SIZE)).copy()).permute(2, 0, 1)
    whole = centre(resized(tmp_path / "a.JPEG")[None], SIZE)[0]
    assert (found.float() - whole.float()).abs().mean() < 1


def test_grey_images_and_others_than_jpeg_become_rgb(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (SIZE, SIZE), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "grey.JPEG", "PNG")  # ImageNet has one such file
    found = decode(str(tmp_path / "grey.JPEG"), Cut(SIZE, SIZE))
    assert np.array_equal(found, pixels[:, :, None].repeat(3, 2))
    Image.fromarray(pixels).convert("CMYK").save(tmp_path / "cmyk.JPEG", "JPEG")
    assert decode(str(tmp_path / "cmyk.JPEG"), Cut(SIZE, SIZE)).shape == (SIZE, SIZE, 3)


def test_parts_are_stratified_and_the_official_ones(make: Make) -> None:
    data = make()
    data.setup()
    counts = {name: part.per_class.unique().tolist() for name, part in data.sets.items()}
    assert counts == {"train": [4], "validation": [1], "calibration": [0], "test": [2]}
    files = {name: set(files_of(part).files) for name, part in data.sets.items()}
    assert not files["train"] & files["validation"] and all(file.startswith("val/") for file in files["test"])
    assert all(file.startswith("train/") for file in files["train"] | files["validation"])
    other = make(seed=1)
    other.setup()
    assert set(files_of(other.sets["train"]).files) != files["train"]
    assert data.classes[0] == "cock" and data.input_shape == (3, CROP, CROP) and len(data.mean) == 3
    assert data.sets["train"].superclasses is not None and data.sets["train"].superclasses[0] == "bird"
    assert isinstance(data.tree, dict) and list(data.tree) == ["vertebrate", "invertebrate"]


def test_the_number_of_workers_changes_nothing(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoding, "PIECE", 3)  # batches of 7 in three pieces
    augment = {"crop": CROP, "flip": True, "rgb_pca": 0.3}
    none, two = make(augment=augment), make(augment=augment, workers=2)
    state = torch.get_rng_state()
    assert same(epoch_of(none, 3), epoch_of(two, 3))
    assert torch.equal(none.tensor("test")[0], two.tensor("test")[0])
    assert torch.equal(torch.get_rng_state(), state)  # else dropout would draw other numbers
    assert none.digest() == two.digest()


def test_every_epoch_has_every_image_once_and_cut_anew(make: Make) -> None:
    data = make()
    first, second = epoch_of(data, 0), epoch_of(data, 1)
    assert (
        not same(first, second)
        and same(first, epoch_of(make(), 0))
        and not same(first, epoch_of(make(shuffle_seed=1), 0))
    )
    assert [len(batch.labels) for batch in first] == [7] * 5 + [5]
    assert torch.cat([batch.labels for batch in first]).bincount().tolist() == [4] * 10
    one = files_of(data.sets["train"])[:1]
    cuts = [next(one.batches([torch.tensor([0])], data.training_cut, (0, epoch))) for epoch in range(20)]
    assert len({cut.numpy().tobytes() for cut in cuts}) > 10


def test_a_last_batch_of_one_image_joins_the_one_before(make: Make) -> None:
    data = make(batch_size=13)  # 40 images
    assert [len(batch.labels) for batch in epoch_of(data, 0)] == [13, 13, 14]
    assert [len(call.labels) for call in data.val_dataloader()] == [6, 4]


def test_evaluation_sees_the_middle_normalised(make: Make, folder: Path) -> None:
    data = make(normalisation={"mean": [0.5, 0.4, 0.3], "std": [0.2, 0.3, 0.4]})
    data.setup()
    calls = list(data.val_dataloader())
    assert [len(call.labels) for call in calls] == [6, 4]
    raw = torch.cat([call.images for call in calls])
    assert raw.shape == (10, 3, SIZE, SIZE) and raw.dtype == torch.uint8
    seen = torch.cat([data.on_after_batch_transfer(call, 0).images for call in calls])
    middle = raw[:, :, 4:28, 4:28].double() / 255
    expected = (middle - torch.tensor([0.5, 0.4, 0.3])[:, None, None]) / torch.tensor([0.2, 0.3, 0.4])[:, None, None]
    torch.testing.assert_close(seen.double(), expected, atol=1e-5, rtol=1e-5)
    images, labels = data.tensor("validation")
    assert torch.equal(images, seen) and torch.equal(labels, data.sets["validation"].labels)
    first = folder / files_of(data.sets["validation"]).files[0]
    assert (raw[0].int() - centre(resized(first)[None], SIZE)[0].int()).abs().max() <= 1
    train = epoch_of(data, 0)[0]
    assert train.images.shape == (7, 3, CROP, CROP)
    assert data.on_after_batch_transfer(train, 0).images.shape == (7, 3, CROP, CROP)


def test_normalisation_can_be_measured_on_training_images(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    data = make(normalisation="train")
    data.setup()
    raw = data.sets["train"].images
    values = files_of(data.sets["train"]).to("cpu").double() / 255
    assert len(raw) == 40
    np.testing.assert_allclose(data.mean, values.mean((0, 2, 3)), atol=1e-6)
    np.testing.assert_allclose(data.std, values.std((0, 2, 3), correction=0), atol=1e-6)
    monkeypatch.setattr("src.data.streaming.MEASURED", 10)
    some = make(normalisation="train")
    some.setup()
    assert "data: colours are measured on 10 of 40 training images" in some.events and some.mean != data.mean


def test_colours_are_shifted_image_by_image(make: Make) -> None:
    plain, shifted = make(), make(augment={"crop": CROP, "flip": True, "rgb_pca": 0.5})
    one, other = epoch_of(plain, 0)[0], epoch_of(shifted, 0)[0]
    assert torch.equal(one.labels, other.labels)
    difference = (other.images.int() - one.images.int())[:, :, 8:16, 8:16]
    unclipped = ((one.images > 60) & (one.images < 195))[:, :, 8:16, 8:16].flatten(2).all(2)
    spread = difference.flatten(2).amax(2) - difference.flatten(2).amin(2)
    assert bool(unclipped.any()) and int(spread[unclipped].max()) <= 1  # the same everywhere, but for rounding
    assert len({tuple(row) for row in difference.flatten(2).float().mean(2).int().tolist()}) > 1


def test_the_digest_knows_files_and_settings_but_not_where_they_are(make: Make, folder: Path) -> None:
    first = make().digest()
    assert first == make(eval_batch_size=5).digest()
    for options in (
        {"batch_size": 8},
        {"seed": 1},
        {"shuffle_seed": 1},
        {"augment": {"crop": 20}},
        {"contrast": "global", "normalisation": "train"},
    ):
        assert make(**options).digest() != first
    assert make(source={"size": 40}).digest() != first
    folder.rename(folder.with_name("moved"))
    assert make(source={"root": str(folder.with_name("moved"))}).digest() == first
    folder.with_name("moved").rename(folder)
    file = next((folder / "train" / "n02110958").iterdir())
    content = file.read_bytes()
    file.write_bytes(content + b"\0")
    assert make().digest() != first
    file.write_bytes(content)
    assert make().digest() == first
    file.rename(file.with_name("new.JPEG"))
    assert make().digest() != first


@pytest.mark.parametrize("workers", [0, 2])
def test_a_damaged_file_is_named_in_one_line(make: Make, folder: Path, workers: int) -> None:
    data = make(workers=workers)
    data.setup()
    file = folder / files_of(data.sets["train"]).files[3]
    file.write_bytes(file.read_bytes()[:200])
    with pytest.raises(UserError) as error:
        epoch_of(data, 0)
    assert "\n" not in str(error.value) and str(file) in str(error.value) and "replace or remove" in str(error.value)
    file.unlink()
    with pytest.raises(UserError, match=re.escape(str(file))):
        epoch_of(data, 0)


def test_what_is_decided_about_files_is_told(make: Make, folder: Path) -> None:
    turned = sorted(folder.glob("train/*/*.JPEG"))[:2]
    for file in turned:
        exif = Image.Exif()
        exif[0x0112] = 6
        Image.open(file).convert("RGB").save(file, "JPEG", exif=exif)
    data = make()
    data.setup()
    files = sum(map(len, data.sets.values()))
    assert f"data.source: 2 of {files} images of {folder} turned upright, as their EXIF orientation says" in data.events


def test_caps_take_images_per_class(make: Make) -> None:
    data = make(caps={"train": 3, "test": 1}, splits={"validation": 1, "calibration": 0.0})
    data.setup()
    assert {name: len(part) for name, part in data.sets.items()} == {
        "train": 20, "validation": 10, "calibration": 0, "test": 10
    }  # fmt: skip
    assert "data.caps.train: 30 of 50 images" in data.events


def test_a_module_of_a_tree_sees_its_images_alone_and_cut_alike(make: Make) -> None:
    data = make()
    data.setup()
    birds = {"cock": 0, "crane": 1}
    targets = [birds.get(name, -1) for name in data.classes]
    below = relabelled(data, targets, ["cock", "crane"])
    part = below.sets["train"]
    assert isinstance(part.images, FileImages) and len(part) == 8 and part.per_class.tolist() == [4, 4]
    assert below.classes == ("cock", "crane") and below.mean == data.mean and below.digest() != data.digest()
    assert isinstance(below, StreamingImages)
    whole, own = files_of(data.sets["train"]), files_of(part)
    all_cuts = next(whole.batches([torch.arange(40)], data.training_cut, (0, 2)))
    own_cuts = next(own.batches([torch.arange(8)], data.training_cut, (0, 2)))
    places = [whole.files.index(file) for file in own.files]
    assert torch.equal(own_cuts, all_cuts[places])
    assert torch.cat([batch.labels for batch in epoch_of(below, 0)]).bincount().tolist() == [4, 4]


def test_the_tasks_use_streamed_images_as_they_use_tensors(make: Make) -> None:
    data = make(workers=2)
    data.setup()
    test = data.sets["test"].images
    assert len(test) == 20 and test.shape == (20, 3, SIZE, SIZE) and test[:3].to("cpu").shape == (3, 3, SIZE, SIZE)
    assert torch.equal(torch.cat(list(test.split(9))), test.to("cpu"))
    assert torch.equal(test[torch.tensor([5, 2])].to("cpu"), test.to("cpu")[[5, 2]])
    model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.LazyLinear(2))
    model(torch.zeros(1, 3, CROP, CROP))
    images = data.tensor("test")[0]
    assert predict(model, images, batch=7).shape == (20, 2)
    assert len(list(test[:0].split(4))) == 1  # as of an empty tensor


def history(data: StreamingImages, folder: Path, modular: bool = False) -> list[dict[str, float]]:
    data.setup()
    architecture = {
        "name": "vgg_module", "width": 0.05, "pools": [0, 1, 3], "classes": len(data.classes),
        "input_shape": list(data.input_shape),
    }  # fmt: skip
    optim = {"name": "adam", "lr": 0.001}
    torch.manual_seed(0)
    learner = Modular(build(architecture), optim) if modular else Monolithic(architecture, optim)
    folder.mkdir()
    return fit(learner, data, Training(2), folder, seed=0)


@pytest.mark.parametrize("modular", [False, True])
def test_learners_train_on_streamed_images(make: Make, tmp_path: Path, modular: bool) -> None:
    rows = history(make(), tmp_path / "none", modular)
    assert [row["epoch"] for row in rows] == [0, 1] and rows[1]["train/loss"] != rows[0]["train/loss"]
    assert history(make(workers=2), tmp_path / "two", modular) == rows


def test_two_processes_share_the_batches(make: Make) -> None:
    data = make()
    whole = epoch_of(data, 1)
    parts = [list(data.stream(lambda: 1, 2, (process, 2))) for process in range(2)]
    for batch, first, second in zip(whole, *parts, strict=True):
        assert torch.equal(torch.cat([first.images, second.images]), batch.images)
        assert torch.equal(torch.cat([first.labels, second.labels]), batch.labels)
        assert first.shares[0].ours % 2 == 0
    calls = data.train_dataloader()
    assert calls.sizes == [7] * 5 + [5] and calls.whole_batches == 5 and len(calls) == 6


def test_workers_can_be_forked_under_the_joblib_launcher(folder: Path) -> None:
    files = sorted(map(str, (folder / "train").rglob("*.JPEG")))
    call = joblib.delayed(mean_of)(files, SIZE, 2)
    there = joblib.Parallel(n_jobs=2, backend="loky")([call])
    assert there == [mean_of(files, SIZE, 0)]


def test_the_number_of_workers() -> None:
    assert number_of_workers(3, 256) == 3 and number_of_workers(0, 256) == 0
    assert number_of_workers("auto", 256) >= 0 and number_of_workers("auto", 10**6) == 0
    for wrong in (-1, 1.5, "all", True):
        with pytest.raises(UserError, match=r"data\.workers="):
            number_of_workers(wrong, 256)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"contrast": "zca"}, "data.contrast=zca"),
        ({"augment": {"crop_padding": 4}}, "crop_padding"),
        ({"augment": {"crop": 40}}, "data.augment.crop=40"),
        ({"source": {"root": None}}, "data.source.root"),
        ({"source": {"sizes": 3}}, "data.source.sizes"),
        ({"source": {"size": 0}}, "data.source.size=0"),
        ({"source": {"tree": {"depth": 3}}}, "data.source.tree.depth"),
        ({"splits": {"validation": 5}}, "leave none of the 5"),
    ],
)
def test_what_is_not_allowed(make: Make, options: dict[str, Any], told: str) -> None:
    with pytest.raises(UserError) as error:
        make(**options).setup()
    assert told in str(error.value) and "\n" not in str(error.value)


def test_the_source_says_which_module_it_is() -> None:
    assert data_module({"source": {"name": "imagenet"}}) is StreamingImages
    assert data_module({"source": {"name": "glyphs"}}) is ImageData
