from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from src.data.image_set import ImageSet, concatenate
from tests.data.conftest import MakeSet, of_class


def test_select_takes_the_same_rows_of_everything(make_set: MakeSet) -> None:
    images = replace(make_set(), masks=torch.arange(30).view(30, 1, 1).expand(30, 6, 6).to(torch.uint8))
    chosen = images.select(torch.tensor([7, 2]))
    assert len(chosen) == 2
    assert torch.equal(chosen.images, images.images[[7, 2]])
    assert chosen.labels.tolist() == [1, 2]
    assert chosen.factors is not None and chosen.factors["number"].tolist() == [7, 2]
    assert chosen.masks is not None and chosen.masks[:, 0, 0].tolist() == [7, 2]
    assert chosen.classes == images.classes


def test_helpers(make_set: MakeSet) -> None:
    images = make_set(per_class=4)
    assert images.shape == (3, 6, 6)
    assert images.per_class.tolist() == [4, 4, 4]
    assert of_class(images, 1).labels.unique().tolist() == [1]


@pytest.mark.parametrize(
    ("images", "labels", "classes", "message"),
    [
        (torch.zeros(2, 3, 4, 4), torch.zeros(2, dtype=torch.int64), ("a",), "uint8"),
        (torch.zeros(2, 3, 4, 4, dtype=torch.uint8), torch.zeros(3, dtype=torch.int64), ("a",), "labels"),
        (torch.zeros(2, 3, 4, 4, dtype=torch.uint8), torch.ones(2, dtype=torch.int64), ("a",), "outside"),
    ],
)
def test_what_does_not_agree_is_refused(
    images: torch.Tensor, labels: torch.Tensor, classes: tuple[str, ...], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        ImageSet(images, labels, classes)


def test_concatenate_keeps_only_truth_that_all_have(make_set: MakeSet) -> None:
    first = make_set()
    both = concatenate([first, first])
    assert len(both) == 60 and both.factors is not None
    assert both.superclasses == first.superclasses
    assert concatenate([first, replace(first, factors=None)]).factors is None
    with pytest.raises(ValueError, match="differ"):
        concatenate([first, make_set(classes=2)])
