"""Published corrupted images come in the order of the clean ones, or are refused."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from src.core.errors import UserError
from src.data.image_set import ImageSet
from src.data.opening import data_of
from src.studies.robustness.published import check_published, published
from tests.fakes.imagenet import CLASSES, GREY, write_imagenet, write_imagenet_c
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


@pytest.mark.parametrize("flat", [False, True])
def test_images_in_files_are_found_by_their_names(tmp_path, flat):
    """Clean images may lie in one folder, in another order than that of classes; the published ones are crops."""
    root = write_imagenet(tmp_path / "imagenet", test=2, tree="meta" if flat else "is_a", flat=flat)
    folder = write_imagenet_c(root, tmp_path / "corrupted", side=24)
    data = data_of({"source": {"name": "imagenet", "root": str(root), "size": 32, "tree": None}, "workers": 0}, "data")
    data.setup()
    test = data.sets["test"]
    chosen = torch.tensor([0, 3, len(test) - 1])
    read = published(folder, test, chosen, 2, side=24, where="shift")
    parts = list(read("fog", 3))
    assert [part.shape for part in parts] == [(2, 3, 24, 24), (1, 3, 24, 24)]
    # every published image is of the grey that is its class's own
    assert (torch.cat(parts).float().mean((1, 2, 3)) - GREY * test.labels[chosen]).abs().max() < 2
    check_published(folder, ["fog"], [3], "shift")
    with pytest.raises(
        UserError, match=r"shift.files=.*: has no snow/3; add it, or name those .* by shift.corruptions"
    ):
        check_published(folder, ["fog", "snow"], [3], "shift")
    with pytest.raises(UserError, match=r"shift.files=.*nowhere: no such folder"):
        check_published(tmp_path / "nowhere", ["fog"], [3], "shift")
    next((folder / "fog" / "3" / CLASSES[0]).iterdir()).unlink()
    with pytest.raises(UserError, match=r"shift.files: .*fog/3 has no .*, which is a test image"):
        list(published(folder, test, torch.arange(len(test)), 2, where="shift")("fog", 3))
