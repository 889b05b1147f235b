"""A balanced label tree cut out of WordNet: so many nodes on each level, as the data's own classes allow.

L. Friedrichsen (2020) cut the 398 animals of ImageNet by hand into 2, 11, 47 and 378 nodes. Ours is cut by a rule:
going down from the root, the node with the most classes is replaced by its children until the level has as many nodes
as are asked for; from there on for the next level. Which class is where therefore differs from the thesis.
"""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import NamedTuple

from src.core.errors import UserError
from src.data.wordnet import IS_A, paths_to

ANIMAL = "n00015388"
LEVELS = (2, 11, 47)

Nested = dict[str, "Nested"] | list[str]
"""Name of a node -> what is below it; at the bottom a list of classes. The root has no name."""


class WordNetTree(NamedTuple):
    """A tree in plain form, its leaves being names of classes; how it came to be."""

    tree: Nested
    lost: list[str]  # ids of the classes that were left out
    sizes: list[int]  # how many nodes each level has


@dataclass(eq=False)
class Node:
    """Of WordNet, as far as the classes reach; children by id. A class has none."""

    synset: str
    children: "list[Node]" = field(default_factory=list)
    other: bool = False  # those children of the synset that were too small to stand alone

    def walk(self) -> "Iterator[Node]":
        """Itself and all below it."""
        yield self
        for child in self.children:
            yield from child.walk()

    @property
    def leaves(self) -> list[str]:
        """The classes below it."""
        return [node.synset for node in self.walk() if not node.children]


def wordnet_tree(
    parents: Mapping[str, Sequence[str]],
    names: Mapping[str, str],
    leaves: Sequence[str],
    root: str = ANIMAL,
    levels: Sequence[int] = LEVELS,
    smallest: int = 2,
    origin: str = IS_A,
) -> WordNetTree:
    """The part of WordNet below ``root`` that ends in ``leaves``, on few levels.

    A node with one child gives its place to the child. Children with fewer than ``smallest`` classes, single classes
    among them, stand together as "other ..."; where they are too few even for that they are left out of the tree.

    Args:
        parents: id to its parents.
        names: id to name; what has none is called by its id, and a name that several have gets the id behind it.
        leaves: ids of the classes, all of them below ``root``.
        levels: least number of nodes on each level between the root and the classes, where there are as many.
        origin: where the tree is from, for messages.

    Raises:
        UserError: a class is not below the root, one is above another, there are fewer than two, levels do not rise.
    """
    _check(levels, smallest)
    paths = paths_to(parents, leaves, root, origin)
    outside = [leaf for leaf in leaves if leaf not in paths]
    if outside:
        raise UserError(f"class {outside[0]}: is not below {root} in {origin}; leave it out by data.source.leave_out")
    if len(paths) < 2:
        raise UserError(f"data.source.below={root}: has {len(paths)} classes below it; a tree needs two")
    whole = _collapsed(_restricted(paths, root))
    lost: list[str] = []
    steps: list[dict[Node, list[Node]]] = []  # per level: node to what it becomes
    frontier, sizes = [whole], []
    for wanted in levels:
        step = _grown(frontier, wanted, smallest, lost)
        steps.append(step)
        frontier = [part for node in frontier for part in step[node]]
        sizes.append(len(frontier))
    labels = _labels(whole, names, leaves)
    return WordNetTree(_nested(whole, steps, labels, set(lost)), lost, sizes)


def distinct_names(names: Mapping[str, str], synsets: Sequence[str], taken: Collection[str] = ()) -> dict[str, str]:
    """One name per id, no two alike and none of those that are taken: of two cranes, each has its id behind it."""
    titles = {synset: names.get(synset, synset) for synset in synsets}
    often = Counter(titles.values())
    return {key: f"{name} ({key})" if often[name] > 1 or name in taken else name for key, name in titles.items()}


def _check(levels: Sequence[int], smallest: int) -> None:
    rising = all(low < high for low, high in pairwise(levels))
    if not levels or not rising or min(levels) < 2 or not all(type(level) is int for level in levels):
        raise UserError(f"data.source.tree.levels={list(levels)}: give rising whole numbers from 2, as [2, 11, 47]")
    if type(smallest) is not int or smallest < 2:
        raise UserError(
            f"data.source.tree.smallest={smallest}: allowed are whole numbers from 2; one class is no choice"
        )


def _restricted(paths: Mapping[str, Sequence[str]], root: str) -> Node:
    below: dict[str, set[str]] = {}
    for path in paths.values():
        for parent, child in pairwise(path):
            below.setdefault(parent, set()).add(child)
    for leaf in paths:
        if leaf in below:
            lower = next(other for other, path in paths.items() if leaf in path[:-1])
            raise UserError(
                f"class {leaf}: is above class {lower} in the tree, an image would have both labels; "
                "leave one out by data.source.leave_out"
            )

    def made(synset: str) -> Node:
        return Node(synset, [made(child) for child in sorted(below.get(synset, ()))])

    return made(root)


def _collapsed(node: Node) -> Node:
    while len(node.children) == 1:
        node = node.children[0]
    return node


def _parts(node: Node, smallest: int) -> tuple[list[Node], list[str]]:
    """What a node falls into, at least two of them or none, and the classes that are lost by it."""
    children = [_collapsed(child) for child in node.children]
    large = [child for child in children if len(child.leaves) >= smallest]
    small = [leaf for child in children if len(child.leaves) < smallest for leaf in child.leaves]
    if not large or node.other:
        return [], []
    if len(small) >= smallest:
        return [*large, Node(node.synset, [Node(leaf) for leaf in small], other=True)], []
    if len(large) > 1:
        return large, small
    parts, lost = _parts(large[0], smallest)
    return parts, [*small, *lost] if parts else []


def _grown(frontier: Sequence[Node], wanted: int, smallest: int, lost: list[str]) -> dict[Node, list[Node]]:
    """Each node of a level and what stands below it on the next; the node itself where it stays as it is."""
    grown = {node: [node] for node in frontier}
    above = {node: node for node in frontier}  # of what can still be split
    while sum(map(len, grown.values())) < wanted and above:
        largest = min(above, key=lambda node: (-len(node.leaves), node.synset))
        parent = above.pop(largest)
        parts, left_out = _parts(largest, smallest)
        if parts:
            lost += left_out
            place = grown[parent].index(largest)
            grown[parent][place : place + 1] = parts
            above |= dict.fromkeys(parts, parent)
    return grown


def _labels(whole: Node, names: Mapping[str, str], leaves: Sequence[str]) -> dict[str, str]:
    """Of every node: classes as `distinct_names` calls them, and no node above them like a class or another node."""
    labels = distinct_names(names, leaves)
    return distinct_names(names, [node.synset for node in whole.walk()], set(labels.values())) | labels


def _nested(node: Node, steps: Sequence[dict[Node, list[Node]]], labels: Mapping[str, str], lost: set[str]) -> Nested:
    for level, step in enumerate(steps):
        parts = step[node]
        if len(parts) > 1:
            later = steps[level + 1 :]
            titles = {part: ("other " if part.other else "") + labels[part.synset] for part in parts}
            return {titles[part]: _nested(part, later, labels, lost) for part in parts}
    return [labels[leaf] for leaf in node.leaves if leaf not in lost]
