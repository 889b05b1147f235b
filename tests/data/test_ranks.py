from __future__ import annotations

import torch

from src.core.seeds import stream
from src.data.ranks import rank_within_class


def test_ranks_count_within_each_class() -> None:
    assert rank_within_class(torch.tensor([2, 0, 2, 2, 0])).tolist() == [0, 0, 1, 2, 1]
    assert rank_within_class(torch.zeros(0, dtype=torch.int64)).tolist() == []


def test_random_ranks_are_a_permutation_per_class_by_seed() -> None:
    labels = torch.arange(300) % 3
    ranks = rank_within_class(labels, stream(0, "x"))
    for label in range(3):
        assert ranks[labels == label].sort().values.tolist() == list(range(100))
    assert torch.equal(ranks, rank_within_class(labels, stream(0, "x")))
    assert not torch.equal(ranks, rank_within_class(labels, stream(1, "x")))


def test_streams_differ_by_every_part_of_the_key() -> None:
    keys: list[tuple[int | str, ...]] = [(0, "a", 1), (0, "a", 2), (1, "a", 1), (0, "b", 1), ("0", "a", 1)]
    draws = {tuple(torch.rand(3, generator=stream(*key)).tolist()) for key in keys}
    assert len(draws) == len(keys)
