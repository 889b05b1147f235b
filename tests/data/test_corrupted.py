from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from src.core.errors import UserError
from src.data.corrupted import read_cifar_c, read_imagenet_c

COUNT = 12  # test images


@pytest.fixture
def cifar(tmp_path: Path) -> Path:
    """The official layout: pixel values tell severity and image apart."""
    images = np.zeros((5 * COUNT, 32, 32, 3), dtype=np.uint8)
    images += np.arange(5 * COUNT, dtype=np.uint8)[:, None, None, None]
    images[:, 0, 1, 2] = 200
    np.save(tmp_path / "fog.npy", images)
    np.save(tmp_path / "labels.npy", np.tile(np.arange(COUNT) % 10, 5).astype(np.uint8))
    return tmp_path


LABELS = torch.arange(COUNT) % 10


def test_severities_are_blocks_of_the_file(cifar: Path) -> None:
    for severity in (1, 3, 5):
        images = read_cifar_c(cifar, "fog", severity, LABELS)
        assert images.shape == (COUNT, 3, 32, 32) and images.is_contiguous()
        assert images[:, 0, 5, 5].tolist() == [(severity - 1) * COUNT + k for k in range(COUNT)]
        assert (images[:, 2, 0, 1] == 200).all()  # channel, row, column


def test_labels_are_compared(cifar: Path) -> None:
    with pytest.raises(UserError, match="labels of severity 2 are not those of the 12 test images"):
        read_cifar_c(cifar, "fog", 2, LABELS.flip(0))
    with pytest.raises(UserError, match="not those of the 5 test images"):
        read_cifar_c(cifar, "fog", 2, LABELS[:5])


def one_line(error: pytest.ExceptionInfo[UserError]) -> bool:
    return "\n" not in str(error.value)


def test_bad_files_are_named(cifar: Path) -> None:
    with pytest.raises(UserError, match=r"frog.npy: no such file"):
        read_cifar_c(cifar, "frog", 1, LABELS)
    (cifar / "snow.npy").write_bytes((cifar / "fog.npy").read_bytes()[:5000])
    with pytest.raises(UserError, match=r"snow.npy: not a whole .npy file") as error:
        read_cifar_c(cifar, "snow", 1, LABELS)
    assert one_line(error)
    np.save(cifar / "frost.npy", np.zeros((5 * COUNT - 1, 32, 32, 3), dtype=np.uint8))
    with pytest.raises(UserError, match="59 images for 60 labels"):
        read_cifar_c(cifar, "frost", 1, LABELS)
    np.save(cifar / "zoom_blur.npy", np.zeros((5 * COUNT, 32, 32, 3)))
    with pytest.raises(UserError, match="holds float64"):
        read_cifar_c(cifar, "zoom_blur", 1, LABELS)
    np.save(cifar / "labels.npy", np.zeros(5 * COUNT))
    with pytest.raises(UserError, match=r"labels.npy: holds float64, expected whole numbers"):
        read_cifar_c(cifar, "fog", 1, LABELS)


def test_no_pickle_is_opened(cifar: Path) -> None:
    np.save(cifar / "contrast.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(UserError, match=r"contrast.npy: not a whole .npy file"):
        read_cifar_c(cifar, "contrast", 1, LABELS)


@pytest.fixture
def imagenet(tmp_path: Path) -> Path:
    for severity in (1, 2):
        for label, word in enumerate(("n01", "n02", "n03")):
            folder = tmp_path / "fog" / str(severity) / word
            folder.mkdir(parents=True)
            for number in range(3):
                level = 60 * label + 10 * number + severity
                Image.new("RGB", (50, 40), (level,) * 3).save(folder / f"{number}.JPEG", quality=95)
    return tmp_path


def test_folders_are_read_batch_by_batch(imagenet: Path) -> None:
    sets = list(read_imagenet_c(imagenet, "fog", 2, ["n03", "n01"], 32, batch=4))
    assert [len(part) for part in sets] == [4, 2]
    assert sets[0].shape == (3, 32, 32) and sets[0].classes == ("n03", "n01")
    assert torch.cat([part.labels for part in sets]).tolist() == [0, 0, 0, 1, 1, 1]
    levels = torch.cat([part.images for part in sets]).float().mean((1, 2, 3))
    assert levels.tolist() == pytest.approx([122, 132, 142, 2, 12, 22], abs=1)


def test_bad_folders_are_named_before_anything_is_decoded(imagenet: Path) -> None:
    for name, classes in (("frog", ["n01"]), ("fog", ["n01", "n99"])):
        with pytest.raises(UserError, match=rf"{classes[-1]}: no such folder with JPEG images"):
            next(read_imagenet_c(imagenet, name, 1, classes, 32, batch=4))
    (imagenet / "fog" / "1" / "n01" / "1.JPEG").write_bytes(b"no image")
    with pytest.raises(UserError, match=r"1.JPEG: not a readable image"):
        list(read_imagenet_c(imagenet, "fog", 1, ["n01"], 32, batch=4))
