from __future__ import annotations

import pytest
import torch

from src.core.errors import UserError
from src.methods.hierarchy.tree import flat, from_plain, regrouped

NAMES = [f"c{number}" for number in range(9)]
TREE = from_plain({"a": NAMES[:2], "b": NAMES[2:4], "c": NAMES[4:6], "d": NAMES[6:8], "c8": None}, NAMES)


def test_superclasses_taken_for_each_other_share_a_router_and_keep_their_experts() -> None:
    confusion = 50 * torch.eye(9)
    confusion[0, 4] = confusion[5, 1] = 20  # a with c
    confusion[2, 8] = 20  # b with the lone class
    confusion[7, 8] = 20  # and d with it
    other = regrouped(TREE, confusion, 2)
    assert other.plain() == {
        "group 1": {"a": ["c0", "c1"], "c": ["c4", "c5"]},
        "group 2": {"b": ["c2", "c3"], "d": ["c6", "c7"], "c8": None},
    }
    for name in "abcd":
        old, new = TREE.nodes[TREE.node(name)], other.nodes[other.node(name)]
        assert (new.children, new.targets) == (old.children, old.targets)


def test_what_cannot_be_regrouped() -> None:
    with pytest.raises(UserError, match=r"^tree: it has one node"):
        regrouped(flat(NAMES), torch.eye(9), 2)
    with pytest.raises(UserError, match=r"^tree\.groups=3"):
        regrouped(TREE, torch.eye(9), 3)
