from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from src.core.errors import UserError
from src.data.datamodule import ImageData
from src.data.image_set import Splits
from src.data.opening import data_of
from src.data.sources import load_source


def write(folder: Path, count: int, size: tuple[int, int] = (8, 8), classes: tuple[str, ...] = ("cat", "dog")) -> None:
    draw = np.random.default_rng(0)
    for name in classes:
        (folder / name).mkdir(parents=True)
        for number in range(count):
            pixels = draw.integers(0, 256, (size[1], size[0], 3), np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{number:02}.png")


def load(root: Path, **options: object) -> Splits:
    return load_source("image_folder", {"root": str(root), **options})


def test_own_test_set(tmp_path: Path) -> None:
    write(tmp_path / "train", 4)
    write(tmp_path / "val", 2, classes=("dog",))
    train, test = load(tmp_path)
    assert train.classes == test.classes == ("cat", "dog")
    assert train.per_class.tolist() == [4, 4] and test.per_class.tolist() == [0, 2]
    with Image.open(tmp_path / "train" / "dog" / "01.png") as picture:
        assert np.array_equal(train.images[5].permute(1, 2, 0).numpy(), np.asarray(picture))


def test_seeded_split_of_plain_folders(tmp_path: Path) -> None:
    write(tmp_path, 10)
    train, test = load(tmp_path, test_fraction=0.3, seed=1)
    assert train.per_class.tolist() == [7, 7] and test.per_class.tolist() == [3, 3]


def test_all_images_are_test_images(tmp_path: Path) -> None:
    """As of ImageNet-A: 200 folders of images that nobody trains on."""
    write(tmp_path, 3, classes=("n01498041", "n01531178"))
    train, test = load(tmp_path, test_fraction=1.0)
    assert len(train) == 0 and test.per_class.tolist() == [3, 3]
    source = {"name": "image_folder", "root": str(tmp_path), "test_fraction": 1.0}
    data = ImageData(source, splits={"validation": 0.0}, normalisation="imagenet")
    data.setup()
    assert len(data.sets["test"]) == 6 and data.classes == train.classes and data.input_shape == (3, 8, 8)
    with pytest.raises(UserError, match="leaves no image to train on"):
        data.train_dataloader()
    with pytest.raises(UserError, match=r"test_fraction=1\.5: allowed is a number above 0, to 1"):
        load(tmp_path, test_fraction=1.5)


def test_resizes_and_crops_to_a_square(tmp_path: Path) -> None:
    write(tmp_path, 5, size=(40, 20))
    assert load(tmp_path, size=16, channels=1).train.shape == (1, 16, 16)


def test_mistakes_are_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such folder"):
        load(tmp_path / "absent")
    with pytest.raises(UserError, match="one per class"):
        load(tmp_path)
    write(tmp_path, 3)
    Image.new("RGB", (9, 9)).save(tmp_path / "cat" / "zz.png")
    with pytest.raises(UserError, match=r"differ in size \(8x8 and 9x9\); set data.source.size"):
        load(tmp_path)
    (tmp_path / "cat" / "zz.png").write_bytes(b"nonsense")
    with pytest.raises(UserError, match=r"zz\.png: not a readable image"):
        load(tmp_path)


def test_a_class_of_the_test_set_has_to_be_trained(tmp_path: Path) -> None:
    write(tmp_path / "train", 2)
    write(tmp_path / "test", 2, classes=("cow",))
    with pytest.raises(UserError, match="'cow' is not among"):
        load(tmp_path)


def test_split_folders_are_no_classes_and_what_was_decided_is_told(tmp_path: Path) -> None:
    write(tmp_path / "Training", 6)
    write(tmp_path / "valid", 3)
    data = ImageData({"name": "image_folder", "root": str(tmp_path)}, splits={"drop_seen": False})
    data.setup()
    assert data.classes == ("cat", "dog") and len(data.sets["test"]) == 6
    assert data.events[:2] == [
        "data.source: Training/ is the train part",
        "data.source: valid/ is the test set, there being no other",
    ]
    write(tmp_path / "TEST", 2, classes=("dog",))
    Image.new("RGB", (8, 8)).save(tmp_path / "valid" / "dog" / "new.png")
    train, test = load(tmp_path)
    assert test.per_class.tolist() == [0, 2] and train.per_class.tolist() == [6, 6]
    assert train.events[-1] == (
        "data.source: the 7 images of valid/ are not used; validation images are held out of Training/ "
        "(data.splits.validation)"
    )
    data = ImageData({"name": "image_folder", "root": str(tmp_path), "seed": 1}, splits={"drop_seen": False})
    data.setup()
    assert "data: no test images of cat; accuracy says nothing of them" in data.events


def test_a_part_alone(tmp_path: Path) -> None:
    write(tmp_path / "train", 10)
    train, test = load(tmp_path, test_fraction=0.3)
    assert train.classes == ("cat", "dog") and train.per_class.tolist() == [7, 7] and len(test) == 6
    assert train.events == (
        "data.source.test_fraction=0.3: there is no test part; images of train/ are held out for it",
    )
    (tmp_path / "train").rename(tmp_path / "test")
    train, test = load(tmp_path)
    assert len(train) == 0 and test.per_class.tolist() == [10, 10]


def test_hidden_files_and_folders_without_images_are_no_classes(tmp_path: Path) -> None:
    write(tmp_path, 4)
    for hidden in (".ipynb_checkpoints", "__MACOSX"):
        (tmp_path / hidden).mkdir()
        Image.new("RGB", (8, 8)).save(tmp_path / hidden / "00.png")
    (tmp_path / "cat" / "._00.png").write_bytes(b"Mac OS X")
    (tmp_path / "Thumbs.db").write_bytes(b"")
    (tmp_path / "scripts").mkdir()
    Image.new("RGB", (8, 8)).save(tmp_path / "loose.png")
    (tmp_path / "dog" / "new.heic").write_bytes(b"")
    images = load(tmp_path, test_fraction=1.0).test
    assert images.classes == ("cat", "dog") and images.per_class.tolist() == [4, 4]
    assert images.events == (
        f"data.source: passed over in {tmp_path}: 1 called .heic, 1 folders without images, "
        "4 hidden or of the system, 1 images in no folder of a class",
    )


def test_damaged_images_are_passed_over_counted_and_named(tmp_path: Path) -> None:
    write(tmp_path, 5)
    (tmp_path / "cat" / "00.png").write_bytes(b"")
    half = (tmp_path / "dog" / "03.png").read_bytes()
    (tmp_path / "dog" / "03.png").write_bytes(half[: len(half) // 2])
    with pytest.raises(UserError, match=r"00\.png: not a readable image .*, or set data\.source\.damaged=skip"):
        load(tmp_path)
    images = load(tmp_path, test_fraction=1.0, damaged="skip", size="auto").test
    assert images.labels.tolist() == [0] * 4 + [1] * 4
    guessed, event = images.events
    assert guessed.startswith("data.source.size=auto: 32 pixels")
    assert (
        event.startswith(f"data.source.damaged=skip: 2 of 10 images of {tmp_path} cannot be read")
        and "dog/03.png" in event
    )
    for file in tmp_path.rglob("*.png"):
        file.write_bytes(b"")
    with pytest.raises(UserError, match=r"none of 10 images can be read; the first: .*00\.png"):
        load(tmp_path, damaged="skip")


def test_classes_called_by_numbers_are_chosen_by_name(tmp_path: Path) -> None:
    write(tmp_path, 2, classes=("1", "2", "10"))
    assert load(tmp_path, test_fraction=1.0).test.classes == ("1", "2", "10")
    assert load(tmp_path, test_fraction=1.0, only=[1, 2]).test.classes == ("1", "2")
    with pytest.raises(UserError, match="class 0 is not in the data"):
        load(tmp_path, test_fraction=1.0, only=[0, 1])
    mix = {"others": [2, 10], "target": 1}
    data = ImageData({"name": "image_folder", "root": str(tmp_path)}, mix=mix, splits={"validation": 0.0})
    data.setup()
    assert data.classes == ("2", "10", "1")


def test_only_so_many_of_each_class_are_decoded(tmp_path: Path) -> None:
    write(tmp_path, 12)
    for file in sorted((tmp_path / "cat").iterdir())[5:]:
        file.write_bytes(b"never read")
    for file in sorted((tmp_path / "dog").iterdir())[5:]:
        file.write_bytes(b"never read")
    train, test = load(tmp_path, train_per_class=3, test_per_class=2)
    assert train.per_class.tolist() == [3, 3] and test.per_class.tolist() == [2, 2]
    assert train.events == (f"data.source: 10 of 24 images of {tmp_path} are read, the first of each class",)


def test_messages_name_the_key_where_the_data_stand(tmp_path: Path) -> None:
    write(tmp_path, 3)
    Image.new("RGB", (9, 9)).save(tmp_path / "cat" / "zz.png")
    data = data_of({"source": {"name": "image_folder", "root": str(tmp_path)}}, "strong.data")
    with pytest.raises(UserError, match=r"set strong\.data\.source\.size=64"):
        data.setup()


def test_only_the_classes_asked_for_are_decoded(tmp_path: Path) -> None:
    write(tmp_path / "train", 3, classes=("cat", "dog", "emu"))
    write(tmp_path / "test", 2, classes=("cat", "emu"))
    for file in (tmp_path / "train" / "dog").iterdir():
        file.write_bytes(b"never read")
    train, test = load(tmp_path, only=[2, "cat"])
    assert train.classes == test.classes == ("emu", "cat")
    assert train.per_class.tolist() == [3, 3] and test.per_class.tolist() == [2, 2] and not train.events
    with pytest.raises(UserError, match="not a readable image"):
        load(tmp_path)


def test_sizes_are_guessed_and_told(tmp_path: Path) -> None:
    write(tmp_path / "small" / "train", 6, size=(40, 40))
    write(tmp_path / "small" / "test", 3, size=(20, 30))
    train, test = load(tmp_path / "small", size="auto")
    assert train.shape == test.shape == (3, 40, 40)
    assert train.events[0] == f"data.source.size=auto: 40 pixels; all images have 40x40 pixels ({tmp_path / 'small'})"
    write(tmp_path / "tiny", 2)  # networks that halve an image five times take no less than 32 pixels
    assert load(tmp_path / "tiny", size="auto", test_fraction=1.0).test.shape == (3, 32, 32)
    write(tmp_path / "photos", 6, size=(120, 50))
    train, _ = load(tmp_path / "photos", size="auto", test_fraction=1.0)
    assert train.shape == (3, 48, 48)
    assert train.events[0].startswith(
        "data.source.size=auto: 48 pixels; shorter sides of 50 to 50 pixels, half of them from 50"
    )


def test_all_other_classes_and_a_share_of_the_target(tmp_path: Path) -> None:
    write(tmp_path, 10, classes=("ant", "cat", "dog"))
    source = {"name": "image_folder", "root": str(tmp_path), "test_fraction": 0.2}
    data = ImageData(source, mix={"others": None, "target": "cat", "train_target": 0.25}, splits={"validation": 0.0})
    data.setup()
    assert data.classes == ("ant", "dog", "cat")
    assert data.sets["train"].per_class.tolist() == [8, 8, 2] and data.sets["test"].per_class.tolist() == [2, 2, 2]


def test_images_to_be_labelled_are_no_test_set(tmp_path: Path) -> None:
    """As competitions have them: train with classes, test without."""
    write(tmp_path / "train", 10)
    write(tmp_path, 3, classes=("test",))
    train, test = load(tmp_path, test_fraction=0.3)
    assert train.classes == ("cat", "dog") and test.per_class.tolist() == [3, 3]
    assert train.events[0] == (
        f"data.source: the 3 images of {tmp_path / 'test'} lie in no folder of a class and are not used"
    )
