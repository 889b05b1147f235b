"""Label trees from what users have: nested names, superclasses, confusions, another tree."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from src.core.errors import UserError, suggestion
from src.core.seeds import stream
from src.methods.hierarchy.clustering import groups_of
from src.methods.hierarchy.nodes import Router, Tree

ROOT = "root"


@dataclass(frozen=True)
class _Node:
    """A node while a tree is read: a class where it has no children."""

    name: str
    children: "tuple[_Node, ...]" = ()

    def leaves(self) -> Iterator[str]:
        if not self.children:
            yield self.name
        for child in self.children:
            yield from child.leaves()


def from_plain(nested: Any, classes: Sequence[str], where: str = "tree") -> Tree:
    """A tree from nested mappings and lists, e.g. ``{"animals": ["cat", "dog"], "air": ["plane", "glider"]}``.

    A mapping's keys are inner nodes, or classes where the value is null; a list holds classes, and mappings of inner
    nodes. The order in which things stand does not matter: children are ordered by the first label below them.

    Args:
        where: key of the tree in the configuration, for messages.

    Raises:
        UserError: a class is missing, repeated or unknown; a node has one child or another's name; it is no tree.
    """
    return _tree(_read(ROOT, nested, where), classes, where)


def from_superclasses(classes: Sequence[str], superclasses: Sequence[str], where: str = "tree") -> Tree:
    """One router over the superclasses and one expert for each; the only class of a superclass stands for itself.

    Args:
        superclasses: the name of each class's superclass.
        where: key of the tree in the configuration, for messages.
    """
    groups: dict[str, list[str]] = {}
    for name, group in zip(classes, superclasses, strict=True):
        groups.setdefault(group, []).append(name)
    children = [_Node(group, _leaves(below)) if len(below) > 1 else _Node(below[0]) for group, below in groups.items()]
    return _tree(_Node(ROOT, tuple(children)), classes, where)


def flat(classes: Sequence[str]) -> Tree:
    """A tree of one node: the monolith."""
    return _tree(_Node(ROOT, _leaves(classes)), classes)


def random_like(tree: Tree, seed: int) -> Tree:
    """A tree of the same shape with the classes dealt anew; its inner nodes are called after their place."""
    dealt = torch.randperm(len(tree.classes), generator=stream(seed, "random tree")).tolist()

    def deal(node: int, name: str) -> _Node:
        children = []
        for child, below in enumerate(tree.child_nodes(node)):
            place = ".".join(str(number + 1) for number in (*tree.nodes[node].path, child))
            label = tree.nodes[node].targets.index(child)
            children.append(_Node(tree.classes[dealt[label]]) if below < 0 else deal(below, f"group {place}"))
        return _Node(name, tuple(children))

    return _tree(deal(0, ROOT), tree.classes)


def clustered(confusion: Tensor, classes: Sequence[str], groups: int | None, where: str = "tree") -> Tree:
    """One router over ``groups`` experts, each for classes that are often taken for each other.

    The rule is that of :func:`src.methods.hierarchy.clustering.groups_of`; no group has one class.

    Args:
        confusion: (N, N), how often images of a class (rows) are taken for another (columns).
        groups: None: about the square root of N, so that router and experts choose among as many.
        where: key of the tree in the configuration, for messages.

    Raises:
        UserError: there cannot be as many groups.
    """
    members = sorted(groups_of(confusion, groups or max(2, round(len(classes) ** 0.5)), where))
    children = [
        _Node(f"group {number + 1}", _leaves([classes[label] for label in group]))
        for number, group in enumerate(members)
    ]
    return _tree(_Node(ROOT, tuple(children)), classes, where)


def regrouped(tree: Tree, confusion: Tensor, groups: int, where: str = "tree") -> Tree:
    """The tree with a further level below its root: the children that are taken for each other share a router.

    The rule is that of :func:`src.methods.hierarchy.clustering.groups_of`, over superclasses instead of classes. All
    nodes but the root stay as they are.

    Args:
        confusion: (N, N), how often images of a class (rows) are taken for another (columns).
        where: key of the new tree in the configuration, for messages.

    Raises:
        UserError: there cannot be as many groups, or the tree has one node.
    """
    root, nested = tree.nodes[0], tree.plain()
    if tree.is_expert(0):
        raise UserError(f"{where}: it has one node and no superclasses to group; take one with superclasses")
    parent, count = tree.superclass_of, len(root.children)
    pairs = (parent[:, None] * count + parent[None, :]).flatten()
    between = torch.zeros(count * count, dtype=torch.float64).index_add_(0, pairs, confusion.double().cpu().flatten())
    members = sorted(groups_of(between.view(count, count), groups, where))
    plain: dict[str, Any] = {
        f"group {number + 1}": {root.children[child]: nested[root.children[child]] for child in group}
        for number, group in enumerate(members)
    }
    return from_plain(plain, tree.classes, where)


def read_tree(path: Path, classes: Sequence[str], where: str = "tree") -> Tree:
    """The tree of a JSON file, see :func:`from_plain`.

    Raises:
        UserError: there is no such file, it is no JSON, or not a tree of these classes.
    """
    try:
        hook = partial(_without_repeats, where=where)
        return from_plain(json.loads(path.read_text(encoding="utf-8"), object_pairs_hook=hook), classes, where)
    except OSError as error:
        raise UserError(f"{where}.path={path}: cannot be read ({error.strerror}); give a JSON file") from None
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"{where}.path={path}: is no JSON ({error}); {_FORM}") from None
    except RecursionError:
        raise UserError(f"{where}.path={path}: is nested too deeply to be a tree of classes; {_FORM}") from None


def without_class(tree: Tree, name: str) -> Tree:
    """The tree without a class; a node that is left with one child gives its place to it.

    Raises:
        UserError: the tree has no such class, or less than two would be left.
    """
    gone = tree.classes[tree.label(name)]

    def prune(node: _Node) -> _Node | None:
        if not node.children:
            return None if node.name == gone else node
        children = tuple(kept for child in node.children if (kept := prune(child)) is not None)
        return children[0] if len(children) == 1 else _Node(node.name, children)

    pruned = prune(_read(ROOT, tree.plain()))
    assert pruned is not None
    return _tree(_Node(ROOT, pruned.children), tuple(other for other in tree.classes if other != gone))


_FORM = 'write {"animals": ["cat", "dog"], "air": ["plane", "glider"]}'


def _leaves(names: Sequence[str]) -> tuple[_Node, ...]:
    return tuple(_Node(name) for name in names)


def _without_repeats(pairs: list[tuple[str, Any]], where: str) -> dict[str, Any]:
    if (name := _repeated([name for name, _ in pairs])) is not None:
        raise UserError(f"{where}: '{name}' stands twice at one place; give each node and class its own name")
    return dict(pairs)


def _repeated(names: Sequence[str]) -> str | None:
    """The first name that stands there a second time."""
    return next((name for number, name in enumerate(names) if name in names[:number]), None)


def _read(name: str, nested: Any, where: str = "tree") -> _Node:
    if isinstance(nested, Mapping):
        pairs = [(str(key), value) for key, value in nested.items()]
        return _Node(name, tuple(_Node(key) if value is None else _inner(key, value, where) for key, value in pairs))
    if isinstance(nested, Sequence) and not isinstance(nested, str | bytes):
        children: list[_Node] = []
        for item in nested:
            if isinstance(item, str) or (isinstance(item, int) and not isinstance(item, bool)):
                children.append(_Node(str(item)))
            elif isinstance(item, Mapping):
                children += _read("", item, where).children
            else:
                raise UserError(
                    f"{where}: node '{name}' holds {item!r}, which is neither a class nor a mapping; {_FORM}"
                )
        return _Node(name, tuple(children))
    raise UserError(f"{where}: node '{name}' is {nested!r}; {_FORM}")


def _inner(name: str, nested: Any, where: str) -> _Node:
    node = _read(name, nested, where)
    if not node.children:
        raise UserError(f"{where}: node '{name}' has no child; give it two or leave it out")
    return node


def _tree(root: _Node, classes: Sequence[str], where: str = "tree") -> Tree:
    """Checks, puts children in order, and numbers nodes breadth first."""
    names = tuple(classes)
    _check_classes(list(root.leaves()) if root.children else [], names, where)
    labels = {name: label for label, name in enumerate(names)}
    nodes: list[Router] = []
    queue: list[tuple[tuple[int, ...], _Node]] = [((), _ordered(root, labels))]
    while queue:
        path, node = queue.pop(0)
        _check_node(node, [other.name for other in nodes], where)
        targets = [-1] * len(names)
        for number, child in enumerate(node.children):
            for leaf in child.leaves():
                targets[labels[leaf]] = number
            if child.children:
                queue.append(((*path, number), child))
        nodes.append(Router(node.name, path, tuple(child.name for child in node.children), tuple(targets)))
    return Tree(names, tuple(nodes))


def _ordered(node: _Node, labels: Mapping[str, int]) -> _Node:
    """Children by the first label below them: in JSON the order of keys means nothing."""
    children = sorted(node.children, key=lambda child: min(labels[leaf] for leaf in child.leaves()))
    return _Node(node.name, tuple(_ordered(child, labels) for child in children))


def _check_classes(leaves: list[str], classes: tuple[str, ...], where: str) -> None:
    if len(classes) < 2:
        raise UserError(f"{where}: {len(classes)} classes; a tree needs at least 2")
    if (leaf := next((leaf for leaf in leaves if leaf not in classes), None)) is not None:
        raise UserError(f"{where}: class '{leaf}' is not in the data; {suggestion(leaf, classes)}")
    if (leaf := _repeated(leaves)) is not None:
        raise UserError(f"{where}: class '{leaf}' stands twice; leave one of them out")
    if (name := _repeated(classes)) is not None:
        raise UserError(f"{where}: there are two classes '{name}'; give each its own name")
    missing = [name for name in classes if name not in leaves]
    if missing:
        rest = f" and {len(missing) - 1} more are" if len(missing) > 1 else " is"
        raise UserError(f"{where}: class '{missing[0]}'{rest} missing; put every class of the data below a node")


def _check_node(node: _Node, others: list[str], where: str) -> None:
    names = [child.name for child in node.children]
    if len(names) == 1:
        raise UserError(
            f"{where}: node '{node.name}' has one child, '{names[0]}', and nothing to decide; give it another, or put "
            f"'{names[0]}' in its place"
        )
    if node.name in others:
        raise UserError(f"{where}: two nodes are called '{node.name}'; rename one")
    if (name := _repeated(names)) is not None:
        raise UserError(f"{where}: two children of '{node.name}' are called '{name}'; rename one")
