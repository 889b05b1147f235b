from __future__ import annotations

import pytest
import torch

from src.core.errors import UserError
from src.data.datamodule import ImageData
from src.data.fewer_images import of_classes, per_class, with_rows


def make(validation: int = 4) -> ImageData:
    source = {"name": "glyphs", "size": 16, "train_per_class": 20, "test_per_class": 6}
    data = ImageData(source, classes=[0, 3, 5], splits={"validation": validation, "calibration": 2}, batch_size=8)
    data.setup()
    return data


def test_the_images_of_some_classes_keep_their_labels_and_all_outputs_stay() -> None:
    data = make()
    part = of_classes(data, [2, 0])
    assert part.classes == data.classes and part.mean == data.mean
    for name in ("train", "validation", "calibration"):
        kept = data.sets[name].labels != 1
        assert torch.equal(part.sets[name].images, data.sets[name].images[kept])
        assert torch.equal(part.sets[name].labels, data.sets[name].labels[kept])
        assert torch.equal(part.split_indices[name], data.split_indices[name][kept])
    assert part.sets["test"] is data.sets["test"]
    assert len(data.sets["train"]) == 3 * 14 and part.digest() != data.digest()


def test_few_images_are_a_part_of_more() -> None:
    data = make()
    rows = {}
    for count in (2, 5, 100):
        part = per_class(data, count, seed=3)
        assert part.sets["train"].per_class.tolist() == [min(count, 14)] * 3
        assert part.sets["validation"] is data.sets["validation"]
        rows[count] = set(part.split_indices["train"].tolist())
    assert rows[2] < rows[5] < rows[100] == set(data.split_indices["train"].tolist())
    assert set(per_class(data, 5, seed=4).split_indices["train"].tolist()) != rows[5]


def test_the_whole_is_left_as_it_was() -> None:
    data = make()
    digest = data.digest()
    part = with_rows(data, {"train": torch.tensor([4, 1])})
    assert torch.equal(part.sets["train"].images, data.sets["train"].images[[4, 1]])
    assert data.digest() == digest and len(data.mislabelled) == 42 and len(part.mislabelled) == 2


def test_nothing_to_validate_with() -> None:
    data = make(validation=1)
    data.sets["validation"] = data.sets["validation"].select(data.sets["validation"].labels == 1)
    with pytest.raises(UserError, match="no image of 'disc' and its like to validate with"):
        of_classes(data, [0])
