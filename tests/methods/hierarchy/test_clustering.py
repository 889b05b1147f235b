"""Classes that are confused come together, in groups that leave no module without a decision."""

from __future__ import annotations

from itertools import chain, combinations, pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from src.core.errors import UserError
from src.methods.hierarchy.clustering import _best_cuts, groups_of
from src.methods.hierarchy.tree import clustered


def confusion_of(groups: list[list[int]], count: int, within: float = 10.0) -> torch.Tensor:
    """Counts with ``within`` between classes of a group, 1 elsewhere, and more on the diagonal."""
    found = torch.ones(count, count) + 80 * torch.eye(count)
    for group in groups:
        for a, b in combinations(group, 2):
            found[a, b] = found[b, a] = within
    return found


@pytest.mark.parametrize(
    "groups",
    [[[0, 3, 6], [1, 4, 7], [2, 5, 8]], [[0, 8], [1, 2, 3], [4, 5, 6, 7]], [[0, 5], [1, 6], [2, 7], [3, 4, 8]]],
)
def test_planted_groups_are_found(groups: list[list[int]]):
    assert sorted(groups_of(confusion_of(groups, 9), len(groups))) == groups
    tree = clustered(confusion_of(groups, 9), list("abcdefghi"), len(groups))
    assert [list(tree.leaves_of(node)) for node in range(1, len(tree.nodes))] == groups
    assert tree.nodes[0].children == tuple(f"group {number + 1}" for number in range(len(groups)))


def test_one_side_of_the_matrix_is_enough_and_sizes_of_classes_do_not_matter():
    groups = [[0, 3, 4], [1, 2, 5]]
    counts = confusion_of(groups, 6).triu() * torch.tensor([1.0, 10, 3, 7, 1, 2])[:, None]
    assert sorted(groups_of(counts, 2)) == groups


def test_cuts_keep_the_most_within():
    """Every way to cut the row of 7 into 3 runs of 2 or more."""
    matrix = torch.rand(7, 7, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    matrix = (matrix + matrix.T).fill_diagonal_(0)
    ways = [(0, a, b, 7) for a in range(2, 5) for b in range(a + 2, 6)]
    kept = {way: sum(float(matrix[s:e, s:e].sum()) for s, e in pairwise(way)) for way in ways}
    assert len(ways) > 2 and tuple(_best_cuts(matrix, 3, 7)) == max(kept, key=kept.__getitem__)
    short = [way for way in ways if all(e - s <= 3 for s, e in pairwise(way))]
    assert len(short) == 3 and tuple(_best_cuts(matrix, 3, 3)) == max(short, key=kept.__getitem__)


@given(st.integers(4, 16), st.data())
@settings(max_examples=30, deadline=None)
def test_sizes_stay_within_their_bounds(count: int, draw: st.DataObject):
    groups = draw.draw(st.integers(2, count // 2))
    seed = draw.draw(st.integers(0, 1000))
    counts = torch.rand(count, count, generator=torch.Generator().manual_seed(seed)) ** 6  # a few strong ones
    found = groups_of(counts, groups)
    assert sorted(chain(*found)) == list(range(count)) and len(found) == groups
    sizes = [len(group) for group in found]
    assert min(sizes) >= 2 and max(sizes) <= max(2, -(-3 * count // (2 * groups)))


@pytest.mark.parametrize("counts", [torch.eye(6), torch.zeros(6, 6)])
def test_a_network_that_confuses_nothing(counts: torch.Tensor):
    assert sorted(chain(*groups_of(counts, 3))) == list(range(6))


@pytest.mark.parametrize("groups", [1, 4])
def test_refused(groups: int):
    with pytest.raises(UserError, match=rf"tree.groups={groups}: 7 classes can be put into 2 to 3 groups"):
        clustered(torch.eye(7), list("abcdefg"), groups)
