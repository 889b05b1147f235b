from __future__ import annotations

from typing import Any

import pytest
import torch

from src.core.errors import UserError
from src.data.datamodule import ImageData
from src.data.relabelled import capped, of_classes, per_class, relabelled, with_rows

PARTS = ("train", "validation", "calibration", "test")


def make(**changes: Any) -> ImageData:
    options: dict[str, Any] = {
        "source": {"name": "glyphs", "size": 16, "train_per_class": 20, "test_per_class": 6},
        "classes": [0, 3, 5, 7],
        "splits": {"validation": 0.2, "calibration": 2},
        "batch_size": 8,
    }
    data = ImageData(**(options | changes))
    data.setup()
    return data


def test_images_of_the_chosen_classes_with_their_new_labels() -> None:
    data = make()
    part = relabelled(data, [1, -1, 0, 1], ["dots", "others"])
    assert part.classes == ("dots", "others")
    for name in PARTS:
        before, after = data.sets[name], part.sets[name]
        images, labels = [], []
        for image, label in zip(before.images, before.labels.tolist(), strict=True):
            if label != 1:
                images.append(image)
                labels.append({0: 1, 2: 0, 3: 1}[label])
        assert torch.equal(after.images, torch.stack(images)) and after.labels.tolist() == labels
        assert after.superclasses is None and after.masks is not None and len(after.masks) == len(labels)
    kept = data.sets["train"].labels != 1
    assert torch.equal(part.split_indices["train"], data.split_indices["train"][kept])
    assert (part.mean, part.std) == (data.mean, data.std)
    images, labels, share = next(next(iter(part.train_dataloader())).batches())
    assert share.ours == 8 and images.shape == (8, 3, 16, 16) and int(labels.max()) <= 1


def test_where_no_class_is_left_out_the_images_are_shared() -> None:
    data = make()
    root = relabelled(data, [0, 0, 1, 1], ["first", "second"])
    for name in PARTS:
        assert root.sets[name].images is data.sets[name].images
        assert torch.equal(root.sets[name].labels, data.sets[name].labels // 2)


def test_the_digest_is_that_of_its_own_images_and_labels() -> None:
    data = make()
    same = relabelled(data, [0, 1, 2, 3], data.classes)
    assert same.digest() == data.digest()
    targets = ([0, 1, -1, -1], [-1, -1, 0, 1], [0, 0, 1, 1], [1, 1, 0, 0])
    digests = {relabelled(data, each, ["a", "b"]).digest() for each in targets}
    digests |= {relabelled(data, [0, 0, 1, 1], ["a", "b"], cap=cap).digest() for cap in (20, 21)}
    assert len(digests | {data.digest()}) == 7


def test_a_cap_takes_as_many_of_each_class() -> None:
    data = make()
    rows = torch.arange(len(data.sets["train"]))
    assert data.sets["train"].per_class.tolist() == [14] * 4
    for cap, counts in ((12, [3, 3, 3, 3]), (14, [4, 4, 3, 3]), (1000, [14] * 4)):
        chosen = capped(data.sets["train"].labels, rows, cap)
        assert torch.bincount(data.sets["train"].labels[chosen]).tolist() == counts
        assert torch.equal(chosen, chosen.sort().values)
    uneven = torch.tensor([0] * 20 + [1] * 3)
    assert torch.bincount(uneven[capped(uneven, torch.arange(23), 10)]).tolist() == [7, 3]
    small, large = (set(capped(data.sets["train"].labels, rows, cap).tolist()) for cap in (12, 24))
    assert small < large, "a larger cap adds images"
    part = relabelled(data, [0, 1, -1, 0], ["a", "b"], cap=9)
    assert part.sets["train"].per_class.tolist() == [6, 3]
    assert [len(part.sets[name]) for name in PARTS[1:]] == [12, 6, 18], "the other parts are not capped"


def test_wrong_labels_stay_known() -> None:
    data = make(label_noise={"fraction": 0.5})
    part = relabelled(data, [0, 1, -1, -1], ["a", "b"])
    kept = data.sets["train"].labels < 2
    assert torch.equal(part.mislabelled, data.mislabelled[kept]) and bool(part.mislabelled.any())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"cap": 1}, "tree: node 'b' has no image to train on among the 1 that expert_cap leaves"),
    ],
)
def test_mistakes_are_named_in_one_line(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message) as error:
        relabelled(make(), [0, 1, -1, -1], ["a", "b"], **options)
    assert "\n" not in str(error.value)


def test_a_node_without_images_to_validate_with() -> None:
    data = make()
    validation = data.sets["validation"]
    data.sets["validation"] = validation.select(validation.labels < 2)
    with pytest.raises(UserError, match="the node of a, b has no image to validate with"):
        relabelled(data, [-1, -1, 0, 1], ["a", "b"])


def test_targets_that_do_not_fit_the_classes() -> None:
    for targets, names in (([0, 1], ["a", "b"]), ([0, 0, -1, -1], ["a", "b"]), ([0, 1, 2, -1], ["a", "b"])):
        with pytest.raises(ValueError, match="targets"):
            relabelled(make(), targets, names)


def fewer(validation: int = 4) -> ImageData:
    source = {"name": "glyphs", "size": 16, "train_per_class": 20, "test_per_class": 6}
    data = ImageData(source, classes=[0, 3, 5], splits={"validation": validation, "calibration": 2}, batch_size=8)
    data.setup()
    return data


def test_the_images_of_some_classes_keep_their_labels_and_all_outputs_stay() -> None:
    data = fewer()
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
    data = fewer()
    rows = {}
    for count in (2, 5, 100):
        part = per_class(data, count, seed=3)
        assert part.sets["train"].per_class.tolist() == [min(count, 14)] * 3
        assert part.sets["validation"] is data.sets["validation"]
        rows[count] = set(part.split_indices["train"].tolist())
    assert rows[2] < rows[5] < rows[100] == set(data.split_indices["train"].tolist())
    assert set(per_class(data, 5, seed=4).split_indices["train"].tolist()) != rows[5]


def test_the_whole_is_left_as_it_was() -> None:
    data = fewer()
    digest = data.digest()
    part = with_rows(data, {"train": torch.tensor([1, 4])})
    assert torch.equal(part.sets["train"].images, data.sets["train"].images[[1, 4]])
    assert data.digest() == digest and len(data.mislabelled) == 42 and len(part.mislabelled) == 2


def test_nothing_to_validate_with() -> None:
    data = fewer(validation=1)
    data.sets["validation"] = data.sets["validation"].select(data.sets["validation"].labels == 1)
    with pytest.raises(UserError, match="no image of 'disc' and its like to validate with"):
        of_classes(data, [0])
