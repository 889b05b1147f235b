"""Label trees: one module decides between the children of every inner node."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import torch
from torch import Tensor

from src.core.errors import UserError, suggestion


@dataclass(frozen=True)
class Router:
    """An inner node.

    Attributes:
        name: unique in its tree.
        path: numbers of the children taken from the root to here.
        children: names, of inner nodes or of classes, in the order of the first label below each.
        targets: for each class of the tree the number of the child that it is below (or is), -1 where it is not below.
    """

    name: str
    path: tuple[int, ...]
    children: tuple[str, ...]
    targets: tuple[int, ...]


class Places(NamedTuple):
    """A tree as int64 tensors on one device; all but ``targets`` and ``order`` per inner node.

    Attributes:
        targets: (nodes, N), see `Router`.
        order: (N,), where each class stands among the ``leaf_labels`` of all nodes.
        child_nodes: (children,), the inner node that each child is, or -1 where it is a class.
        leaf_children, leaf_labels: of the children that are classes.
        class_shares: float64 (children,), of the classes below a node those below each child.
    """

    targets: Tensor
    order: Tensor
    child_nodes: list[Tensor]
    leaf_children: list[Tensor]
    leaf_labels: list[Tensor]
    class_shares: list[Tensor]


@dataclass(frozen=True)
class Tree:
    """A hierarchy over N classes.

    Attributes:
        classes: names, in the order of the labels.
        nodes: the inner nodes breadth first; ``nodes[0]`` is the root.
    """

    classes: tuple[str, ...]
    nodes: tuple[Router, ...]

    @property
    def depth(self) -> int:
        """Decisions on the longest path: 1 for a tree of one node."""
        return len(self.nodes[-1].path) + 1

    @cached_property
    def _index(self) -> dict[tuple[int, ...], int]:
        return {node.path: index for index, node in enumerate(self.nodes)}

    def node(self, name: str) -> int:
        """The number of an inner node.

        Raises:
            UserError: there is none of this name.
        """
        names = [node.name for node in self.nodes]
        if name not in names:
            raise UserError(f"tree: there is no node '{name}'; {suggestion(name, names)}")
        return names.index(name)

    def label(self, name: str) -> int:
        """The number of a class.

        Raises:
            UserError: there is none of this name.
        """
        if name not in self.classes:
            raise UserError(f"tree: there is no class '{name}'; {suggestion(name, self.classes)}")
        return self.classes.index(name)

    def level_of(self, node: int) -> int:
        """Decisions before this node's: 0 for the root."""
        return len(self.nodes[node].path)

    def nodes_of_level(self, level: int) -> range:
        """The inner nodes of a level, which follow each other."""
        numbers = [index for index, node in enumerate(self.nodes) if len(node.path) == level]
        return range(numbers[0], numbers[-1] + 1)

    def child_nodes(self, node: int) -> tuple[int, ...]:
        """For each child the number of the inner node that it is, or -1 where it is a class."""
        router = self.nodes[node]
        return tuple(self._index.get((*router.path, child), -1) for child in range(len(router.children)))

    def is_expert(self, node: int) -> bool:
        """Whether all children are classes."""
        return max(self.child_nodes(node)) < 0

    def leaves_of(self, node: int) -> tuple[int, ...]:
        """Labels of the classes below a node."""
        return tuple(label for label, child in enumerate(self.nodes[node].targets) if child >= 0)

    def leaf_children(self, node: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """The children that are classes: their numbers, and their labels."""
        targets = self.nodes[node].targets
        children = tuple(child for child, inner in enumerate(self.child_nodes(node)) if inner < 0)
        return children, tuple(targets.index(child) for child in children)

    def path_of(self, label: int) -> tuple[tuple[int, int], ...]:
        """The decisions that lead to a class: (node, child) from the root on."""
        steps: list[tuple[int, int]] = []
        node = 0
        while node >= 0:
            child = self.nodes[node].targets[label]
            steps.append((node, child))
            node = self.child_nodes(node)[child]
        return tuple(steps)

    @cached_property
    def _places(self) -> dict[torch.device, Places]:
        return {}

    def on(self, device: torch.device) -> Places:
        """The tree as tensors, which are brought to each device once."""
        if device not in self._places:
            with torch.inference_mode(False):  # a network that was asked for answers may be trained later
                self._places[device] = self._tensors(device)
        return self._places[device]

    def _tensors(self, device: torch.device) -> Places:
        numbers = range(len(self.nodes))
        targets = torch.tensor([node.targets for node in self.nodes])
        leaves = [[torch.tensor(part, dtype=torch.long) for part in self.leaf_children(node)] for node in numbers]
        below = [row[row >= 0].bincount().double() for row in targets]
        return Places(
            targets.to(device),
            torch.cat([labels for _, labels in leaves]).argsort().to(device),
            [torch.tensor(self.child_nodes(node), device=device) for node in numbers],
            [children.to(device) for children, _ in leaves],
            [labels.to(device) for _, labels in leaves],
            [(counts / counts.sum()).to(device) for counts in below],
        )

    @cached_property
    def path_nodes(self) -> Tensor:
        """int64 (N, depth): the nodes on the path to each class, -1 behind its end."""
        return self._padded(0)

    @cached_property
    def path_children(self) -> Tensor:
        """int64 (N, depth): the children taken there, -1 behind the end."""
        return self._padded(1)

    @cached_property
    def prefixes(self) -> Tensor:
        """int64 (N, depth): equal for two classes at a level where their paths are the same up to it.

        Behind the end of a class's path the number is that of its end, and no other class's.
        """
        numbers: dict[tuple[tuple[int, int], ...], int] = {}
        rows = []
        for label in range(len(self.classes)):
            path = self.path_of(label)
            rows.append([numbers.setdefault(path[: level + 1], len(numbers)) for level in range(self.depth)])
        return torch.tensor(rows)

    @cached_property
    def superclass_of(self) -> Tensor:
        """int64 (N,): the child of the root that each class is below (or is)."""
        return torch.tensor(self.nodes[0].targets)

    def plain(self) -> Any:
        """As JSON: a list of classes where all children are classes, else a mapping with null for a class."""
        return self._plain(0)

    def _plain(self, node: int) -> Any:
        names = self.nodes[node].children
        if self.is_expert(node):
            return list(names)
        inner = zip(names, self.child_nodes(node), strict=True)
        return {name: None if below < 0 else self._plain(below) for name, below in inner}

    def _padded(self, part: int) -> Tensor:
        paths = [[step[part] for step in self.path_of(label)] for label in range(len(self.classes))]
        return torch.tensor([path + [-1] * (self.depth - len(path)) for path in paths])
