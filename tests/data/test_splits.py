from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from src.core.errors import UserError
from src.data.image_set import ImageSet
from src.data.splits import digests, drop_seen, groups_of, split_pool
from tests.data.conftest import MakeSet


def with_copies(images: ImageSet, pairs: list[tuple[int, int]]) -> ImageSet:
    """Image b of each pair becomes a copy of image a."""
    pixels = images.images.clone()
    for a, b in pairs:
        pixels[b] = pixels[a]
    return replace(images, images=pixels)


def test_parts_are_disjoint_stratified_and_whole(make_set: MakeSet) -> None:
    pool = make_set(per_class=50, classes=4)
    parts = split_pool(pool, validation=0.2, calibration=7, seed=0)
    assert sorted(torch.cat(list(parts.values())).tolist()) == list(range(200))
    counts = {name: torch.bincount(pool.labels[index]).tolist() for name, index in parts.items()}
    assert counts == {"train": [33] * 4, "validation": [10] * 4, "calibration": [7] * 4}
    assert all(bool((index.diff() > 0).all()) for index in parts.values())


def test_parts_depend_on_the_data_seed_alone(make_set: MakeSet) -> None:
    pool = make_set(per_class=50)
    first, again, other = (split_pool(pool, validation=0.2, seed=seed)["validation"] for seed in (0, 0, 1))
    torch.manual_seed(123)
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_identical_images_never_leak_even_under_different_labels(make_set: MakeSet) -> None:
    pairs = [(k, k + 60) for k in range(40)] + [(k, k + 101) for k in range(20)]
    pool = with_copies(make_set(per_class=60, classes=3), pairs)
    for seed in range(5):
        parts = split_pool(pool, validation=0.3, calibration=0.2, seed=seed)
        where = torch.full((len(pool),), -1)
        for number, index in enumerate(parts.values()):
            where[index] = number
        assert all(int(where[a]) == int(where[b]) for a, b in pairs)
        assert min(len(index) for index in parts.values()) > 0


def test_digests_tell_images_apart_by_any_single_byte() -> None:
    base = torch.randint(0, 256, (1, 3, 5, 5), dtype=torch.uint8)
    changed = base.repeat(75, 1, 1, 1)
    changed.view(75, -1)[torch.arange(75), torch.arange(75)] ^= 0x80
    hashes = digests(torch.cat([base, changed, base]))
    assert len(set(hashes)) == 76 and hashes[0] == hashes[-1]
    assert groups_of(torch.cat([base, changed, base]))[-1] == 0


def test_images_of_the_test_set_leave_the_pool(make_set: MakeSet) -> None:
    pool, test = make_set(seed=1), make_set(seed=2)
    pixels = pool.images.clone()
    pixels[[3, 8]] = test.images[[0, 5]]
    kept, count = drop_seen(replace(pool, images=pixels), test)
    assert count == 2 and len(kept) == 28
    assert kept.factors is not None and not {3, 8} & set(kept.factors["number"].tolist())
    assert drop_seen(pool, test) == (pool, 0)


def test_a_class_needs_an_image_to_train_on(make_set: MakeSet) -> None:
    with pytest.raises(UserError, match=r"leave none of the 10 .* 'c0'"):
        split_pool(make_set(per_class=10), validation=5, calibration=5)
    with pytest.raises(UserError, match="validation=-1"):
        split_pool(make_set(), validation=-1)
    with pytest.raises(UserError, match=r"validation=1\.5"):
        split_pool(make_set(), validation=1.5)


def test_a_small_class_shows_in_every_part(make_set: MakeSet) -> None:
    parts = split_pool(make_set(per_class=4), validation=0.1, calibration=0.1)
    assert [len(index) for index in parts.values()] == [6, 3, 3]
