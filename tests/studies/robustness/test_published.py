"""Published corrupted images come in the order of the clean ones, or are refused."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from src.core.errors import UserError
from src.data.image_set import ImageSet
from src.studies.robustness.published import published
from tests.fakes.study import SIDE, pictures


def test_files_of_cifar_c_are_read_at_the_chosen_positions(tmp_path):
    labels = torch.tensor([0, 1, 1, 2])
    test = ImageSet(pictures(4), labels, ("a", "b", "c"))
    stored = torch.stack([pictures(4, seed) for seed in range(1, 6)])  # by severity
    np.save(tmp_path / "fog.npy", stored.flatten(0, 1).permute(0, 2, 3, 1).numpy())
    np.save(tmp_path / "labels.npy", labels.repeat(5).numpy())
    parts = list(published(tmp_path, test, torch.tensor([0, 2, 3]), 2)("fog", 3))
    assert [len(part) for part in parts] == [2, 1]
    assert torch.equal(torch.cat(parts), stored[2][[0, 2, 3]])
    other = ImageSet(pictures(4), labels.flip(0), test.classes)
    with pytest.raises(UserError, match="labels of severity 3 are not those"):
        published(tmp_path, other, torch.arange(4), 2)("fog", 3)


def test_folders_of_imagenet_c_are_streamed_at_the_chosen_positions(tmp_path):
    labels = torch.tensor([0, 0, 2, 2, 2])  # of class b the data has no image
    test = ImageSet(pictures(5), labels, ("a", "b", "c"))
    for number, label in enumerate(labels.tolist()):
        folder = tmp_path / "fog" / "2" / test.classes[label]
        folder.mkdir(parents=True, exist_ok=True)
        grey = np.full((SIDE, SIDE, 3), 40 * number, np.uint8)  # a single colour survives JPEG
        Image.fromarray(grey).save(folder / f"{number}.JPEG")
    read = published(tmp_path, test, torch.tensor([1, 4]), 2)
    found = torch.cat(list(read("fog", 2)))
    assert found.shape == (2, 3, SIDE, SIDE) and found.float().mean((1, 2, 3)).tolist() == pytest.approx(
        [40, 160], abs=2
    )
    fewer = ImageSet(test.images[:4], labels[:4], test.classes)
    swapped = ImageSet(test.images, labels.flip(0), test.classes)
    for other in (fewer, swapped):
        with pytest.raises(UserError, match=r"has not the \d clean images in their order"):
            list(published(tmp_path, other, torch.arange(4), 2)("fog", 2))
