from __future__ import annotations

import pytest
import torch

from src.core.errors import UserError
from src.data.image_set import Splits
from src.data.mixing import add_label_noise, cap, mix, patching_set, subset
from tests.data.conftest import MakeSet, of_class


@pytest.fixture
def splits(make_set: MakeSet) -> Splits:
    return Splits(make_set(per_class=20, classes=6, seed=1), make_set(per_class=10, classes=6, seed=2))


def test_subset_renumbers_in_the_order_given(splits: Splits) -> None:
    chosen = subset(splits, [4, "c1"])
    assert chosen.train.classes == ("c4", "c1")
    assert chosen.train.superclasses == ("s0", "s1")
    assert torch.equal(of_class(chosen.train, 0).images, of_class(splits.train, 4).images)
    assert torch.equal(of_class(chosen.test, 1).images, of_class(splits.test, 1).images)


@pytest.mark.parametrize(
    ("classes", "message"), [([9], "0..5"), (["c11"], "did you mean"), ([1, 1], "only once"), ([], "at least one")]
)
def test_subset_names_what_is_wrong(splits: Splits, classes: list[int | str], message: str) -> None:
    with pytest.raises(UserError, match=message):
        subset(splits, classes)


def test_caps_are_nested_seeded_and_per_class(splits: Splits) -> None:
    def numbers(limit: int, seed: int | None) -> list[int]:
        factors = cap(splits.train, limit, seed).factors
        assert factors is not None
        return [int(number) for number in factors["number"]]

    assert set(numbers(5, 0)) < set(numbers(9, 0))
    assert numbers(5, 0) == sorted(numbers(5, 0))
    assert numbers(5, 0) != numbers(5, 1)
    assert numbers(2, None) == list(range(12))  # the first two of each of six interleaved classes
    assert cap(splits.train, None) is splits.train
    assert cap(splits.train, {"default": 3, "c2": None, 4: 1}).per_class.tolist() == [3, 3, 20, 3, 1, 3]
    with pytest.raises(UserError, match="at least 1"):
        cap(splits.train, 0)


def test_mix_puts_the_target_last(splits: Splits, make_set: MakeSet) -> None:
    other = Splits(make_set(per_class=7, classes=2, prefix="t"), make_set(per_class=3, classes=2, prefix="t"))
    mixed = mix(splits, other)
    assert mixed.train.classes == (*splits.train.classes, "t0", "t1")
    assert mixed.train.per_class.tolist() == [20] * 6 + [7, 7]
    assert torch.equal(of_class(mixed.test, 7).images, of_class(other.test, 1).images)
    with pytest.raises(UserError, match="same size"):
        mix(splits, Splits(make_set(size=8), make_set(size=8)))


def test_patching_set_of_one_source(splits: Splits) -> None:
    made = patching_set(splits, others=[5, 3, 1], target=0, train_others=8, train_target=2, test_target=4, seed=3)
    assert made.train.classes == ("c5", "c3", "c1", "c0")
    assert made.train.per_class.tolist() == [8, 8, 8, 2]
    assert made.test.per_class.tolist() == [10, 10, 10, 4]
    assert torch.equal(of_class(made.test, 3).images, of_class(splits.test, 0).images[:4])  # whatever the seed
    known = of_class(splits.train, 0).images
    assert all(any(torch.equal(image, old) for old in known) for image in of_class(made.train, 3).images)


def test_patching_set_of_two_sources_and_targets(splits: Splits, make_set: MakeSet) -> None:
    other = Splits(make_set(per_class=7, classes=3, prefix="t"), make_set(per_class=3, classes=3, prefix="t"))
    made = patching_set(splits, others=[0, 1], target=["t2", 0], target_splits=other)
    assert made.train.classes == ("c0", "c1", "t2", "t0")
    assert made.test.per_class.tolist() == [10, 10, 3, 3]


def test_label_noise_changes_exactly_its_share() -> None:
    labels = torch.arange(400) % 4
    noisy, changed = add_label_noise(labels, 0.25, 4, classes=[1, 3], seed=5)
    assert torch.equal(changed, noisy != labels)
    assert torch.bincount(labels[changed], minlength=4).tolist() == [0, 25, 0, 25]
    again, _ = add_label_noise(labels, 0.25, 4, classes=[1, 3], seed=5)
    other, _ = add_label_noise(labels, 0.25, 4, classes=[1, 3], seed=6)
    more, more_changed = add_label_noise(labels, 0.5, 4, classes=[1, 3], seed=5)
    assert torch.equal(noisy, again) and not torch.equal(noisy, other)
    assert bool(more_changed[changed].all()) and torch.equal(more[changed], noisy[changed])
    assert torch.bincount(noisy[changed], minlength=4).min() > 0
    assert not add_label_noise(labels, 0.0, 4)[1].any()
    with pytest.raises(UserError, match="fraction"):
        add_label_noise(labels, 1.5, 4)
