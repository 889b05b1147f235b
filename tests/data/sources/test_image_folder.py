from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from src.core.errors import UserError
from src.data.datamodule import ImageData
from src.data.image_set import Splits
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
