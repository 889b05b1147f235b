"""Label trees: numbering, ways in, edits, and what is refused before anything trains."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from src.core.errors import UserError
from src.methods.hierarchy.nodes import Router, Tree
from src.methods.hierarchy.tree import (
    flat,
    from_plain,
    from_superclasses,
    random_like,
    read_tree,
    without_class,
)
from tests.methods.hierarchy.trees import MIXED, THREE, TREES, TWO


def test_nodes_are_numbered_breadth_first():
    assert THREE.nodes == (
        Router("root", (), ("animals", "vehicles", "tree"), (0, 0, 1, 1, 1, 1, 1, 2)),
        Router("animals", (0,), ("cat", "dog"), (0, 1, -1, -1, -1, -1, -1, -1)),
        Router("vehicles", (1,), ("road", "air"), (-1, -1, 0, 0, 0, 1, 1, -1)),
        Router("road", (1, 0), ("car", "bus", "tram"), (-1, -1, 0, 1, 2, -1, -1, -1)),
        Router("air", (1, 1), ("plane", "glider"), (-1, -1, -1, -1, -1, 0, 1, -1)),
    )
    assert THREE.depth == 3 and [THREE.level_of(node) for node in range(5)] == [0, 1, 1, 2, 2]
    assert [THREE.is_expert(node) for node in range(5)] == [False, True, False, True, True]
    assert THREE.child_nodes(0) == (1, 2, -1) and list(THREE.nodes_of_level(2)) == [3, 4]
    assert THREE.leaves_of(2) == (2, 3, 4, 5, 6) and THREE.leaf_children(0) == ((2,), (7,))
    assert THREE.node("air") == 4 and THREE.label("tram") == 4
    assert THREE.superclass_of.tolist() == [0, 0, 1, 1, 1, 1, 1, 2]


def test_paths():
    assert THREE.path_of(4) == ((0, 1), (2, 0), (3, 2)) and THREE.path_of(7) == ((0, 2),)
    assert THREE.path_nodes.tolist()[1] == [0, 1, -1] and THREE.path_children.tolist()[1] == [0, 1, -1]
    assert THREE.path_nodes.tolist()[7] == [0, -1, -1] and THREE.path_children.tolist()[4] == [1, 0, 2]
    same = (THREE.prefixes[:, None] == THREE.prefixes[None]).tolist()
    assert same[2][4] == [True, True, False] and same[2][5] == [True, False, False]
    assert same[0][1] == [True, False, False] and same[0][7] == [False] * 3 and same[7][7] == [True] * 3


def test_a_class_may_stand_beside_inner_nodes_at_any_level():
    assert [node.name for node in MIXED.nodes] == ["root", "p", "q", "r", "s"] and MIXED.depth == 4
    assert MIXED.leaf_children(3) == ((1,), (4,)) and not MIXED.is_expert(3) and MIXED.is_expert(4)
    assert MIXED.plain() == {
        "p": ["a", "b"],
        "q": {"r": {"s": ["c", "d"], "e": None}, "f": None, "g": None},
        "h": None,
    }


@pytest.mark.parametrize("tree", TREES.values(), ids=TREES)
def test_plain_and_back(tree: Tree):
    assert from_plain(json.loads(json.dumps(tree.plain())), tree.classes) == tree


def test_the_order_of_keys_means_nothing():
    assert from_plain({"vehicles": ["bus", "car"], "animals": ["owl", "dog", "cat"]}, TWO.classes) == TWO


def test_superclasses():
    classes, superclasses = ["cat", "car", "dog", "oak", "bus"], ["animals", "vehicles", "animals", "trees", "vehicles"]
    tree = from_superclasses(classes, superclasses)
    assert tree.plain() == {"animals": ["cat", "dog"], "vehicles": ["car", "bus"], "oak": None}


def test_flat_is_one_expert():
    tree = flat(["a", "b"])
    assert len(tree.nodes) == tree.depth == 1 and tree.is_expert(0) and tree.nodes[0].targets == (0, 1)


def test_a_random_tree_has_the_shape_and_other_groups():
    found = random_like(THREE, 1)
    assert found == random_like(THREE, 1) != random_like(THREE, 2) and found.classes == THREE.classes
    sizes = [sorted(len(tree.leaves_of(node)) for node in range(5)) for tree in (found, THREE)]
    assert sizes[0] == sizes[1] == [2, 2, 3, 5, 8]
    assert {frozenset(found.leaves_of(node)) for node in range(5)} != {frozenset(THREE.leaves_of(n)) for n in range(5)}


def test_a_file(tmp_path: Path):
    path = tmp_path / "tree.json"
    path.write_text(json.dumps(THREE.plain()))
    assert read_tree(path, THREE.classes) == THREE


CLASSES = ["cat", "dog", "car", "bus"]
REFUSED = [
    ({"a": ["cat", "dgo"], "b": ["car", "bus"]}, "tree: class 'dgo' is not in the data; did you mean 'dog'?"),
    ({"a": ["cat", "dog"], "b": ["car", "cat", "bus"]}, "tree: class 'cat' stands twice; leave one of them out"),
    ({"a": ["cat", "dog"], "bus": None}, "tree: class 'car' is missing; put every class of the data below a node"),
    ({"cat": None}, "tree: class 'dog' and 2 more are missing; put every class of the data below a node"),
    (
        {"a": ["cat", "dog", "car"], "b": ["bus"]},
        "tree: node 'b' has one child, 'bus', and nothing to decide; give it another, or put 'bus' in its place",
    ),
    (
        {"a": CLASSES},
        "tree: node 'root' has one child, 'a', and nothing to decide; give it another, or put 'a' in its place",
    ),
    ({"a": {"a": ["cat", "dog"], "car": None}, "bus": None}, "tree: two nodes are called 'a'; rename one"),
    ([{"cat": ["dog", "bus"]}, "cat", "car"], "tree: two children of 'root' are called 'cat'; rename one"),
    ({"a": ["cat", "dog"], "b": []}, "tree: node 'b' has no child; give it two or leave it out"),
    ({"a": ["cat", "dog"], "b": 3}, "tree: node 'b' is 3; write"),
    ({"a": ["cat", ["dog"]], "car": None}, "tree: node 'a' holds ['dog'], which is neither a class nor a mapping; wr"),
    ([], "tree: class 'cat' and 3 more are missing"),
]


@pytest.mark.parametrize(("nested", "words"), REFUSED)
def test_what_is_no_tree_of_these_classes(nested: object, words: str):
    with pytest.raises(UserError) as error:
        from_plain(nested, CLASSES)
    assert str(error.value).startswith(words) and "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "is no JSON"),
        ('{"a": ["cat", "dog"], "a": ["car", "bus"]}', "'a' stands twice at one place"),
    ],
)
def test_a_file_that_is_none(tmp_path: Path, text: str, words: str):
    path = tmp_path / "tree.json"
    path.write_text(text)
    with pytest.raises(UserError, match=words):
        read_tree(path, CLASSES)
    with pytest.raises(UserError, match=r"cannot be read .*; give a JSON file"):
        read_tree(tmp_path / "other.json", CLASSES)


def test_few_or_equal_classes():
    with pytest.raises(UserError, match="1 classes; a tree needs at least 2"):
        flat(["a"])
    with pytest.raises(UserError, match="stands twice"):
        flat(["a", "a", "b"])
    with pytest.raises(UserError, match="node 'root' has one child, 'g'"):
        from_superclasses(["a", "b"], ["g", "g"])


def test_a_class_leaves():
    found = without_class(THREE, "tram")
    assert found.classes == tuple(name for name in THREE.classes if name != "tram")
    assert found.plain()["vehicles"]["road"] == ["car", "bus"]
    one = without_class(THREE, "dog")  # its expert has nothing left to decide
    assert one.nodes[0].children == ("cat", "vehicles", "tree") and len(one.nodes) == 4
    half = from_plain({"a": ["x", "y"], "z": None}, ["x", "y", "z"])
    assert without_class(half, "z") == flat(["x", "y"])
    with pytest.raises(UserError, match="no class 'dgo'; did you mean 'dog'"):
        without_class(THREE, "dgo")
    with pytest.raises(UserError, match="needs at least 2"):
        without_class(flat(["x", "y"]), "x")


def nested(names: list[str], draw: st.DataObject, number: list[int]) -> object:
    """A random tree over names: either a list, or two or more parts."""
    if len(names) < 4 or draw.draw(st.booleans()):
        return names
    cut = draw.draw(st.integers(1, len(names) - 1))
    found = {}
    for part in (names[:cut], names[cut:]):
        number[0] += 1
        found |= {part[0]: None} if len(part) == 1 else {f"node {number[0]}": nested(part, draw, number)}
    return found


@given(st.integers(2, 12), st.data())
@settings(max_examples=40, deadline=None)
def test_any_tree_is_consistent(count: int, draw: st.DataObject):
    names = [f"c{label}" for label in range(count)]
    order = draw.draw(st.permutations(names))
    tree = from_plain(nested(order, draw, [0]), names)
    assert from_plain(tree.plain(), names) == tree
    for label in range(count):
        steps = tree.path_of(label)
        assert tree.nodes[steps[-1][0]].children[steps[-1][1]] == names[label]
        assert tree.path_nodes[label, : len(steps)].tolist() == [node for node, _ in steps]
    assert sum(len(tree.leaf_children(node)[1]) for node in range(len(tree.nodes))) == count
    below = [child for node in range(len(tree.nodes)) for child in tree.child_nodes(node) if child >= 0]
    assert below == list(range(1, len(tree.nodes)))
    assert torch.equal(tree.prefixes[:, -1].unique(), tree.prefixes[:, -1].sort().values)
    assert [len(part.children) for part in random_like(tree, 3).nodes if not part.path] == [len(tree.nodes[0].children)]
