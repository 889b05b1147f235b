"""From the root of a label tree to its classes, for a batch of images."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from src.methods.hierarchy.nodes import Tree


def descend(tree: Tree, steps: Sequence[Tensor]) -> Tensor:
    """The sum of ``steps`` along the path to each class; differentiable.

    Args:
        steps: per node (n, children).

    Returns:
        (n, N).
    """
    reached = {0: steps[0].new_zeros(len(steps[0]), 1)}
    columns: list[Tensor] = []
    order: list[int] = []
    for node, step in enumerate(steps):
        total = reached.pop(node) + step
        for child, below in enumerate(tree.child_nodes(node)):
            if below >= 0:
                reached[below] = total[:, child : child + 1]
        children, classes = tree.leaf_children(node)
        if children:
            columns.append(total[:, list(children)])
            order += classes
    place = torch.tensor(order, device=steps[0].device).argsort()
    return torch.cat(columns, dim=1)[:, place]


def walk(
    tree: Tree,
    ask: Callable[[int, Tensor], Tensor],
    images: int,
    *,
    choose: Callable[[Tensor, Tensor], Tensor] | None = None,
    beam: int | None = None,
) -> Tensor:
    """Like :func:`descend` along the paths alone that are still possible; a module is asked only for their images.

    Args:
        ask: for a node and image numbers (k,), the log-probabilities float64 (k, children).
        images: their number n.
        choose: makes of a module's log-probabilities (k, children) those that it goes on with, -inf where it does not;
            its second argument, bool (children,), says which children are inner nodes. None: all.
        beam: inner nodes that an image keeps of each level; None: all.

    Returns:
        float64 (n, N) log-probabilities; they sum to 1 unless ``beam`` drops some.
    """
    root = ask(0, torch.arange(images))
    found = root.new_full((images, len(tree.classes)), -torch.inf)
    reached = root.new_full((images, len(tree.nodes)), -torch.inf)
    reached[:, 0] = 0.0
    for level in range(tree.depth):
        nodes = tree.nodes_of_level(level)
        if beam is not None and beam < len(nodes):
            _keep_likeliest(reached, nodes, beam)
        for node in nodes:
            rows = reached[:, node].isfinite().nonzero()[:, 0]
            if len(rows):
                step = root if node == 0 else ask(node, rows)
                if choose is not None:
                    inner = torch.tensor(tree.child_nodes(node), device=step.device) >= 0
                    step = choose(step, inner)
                _enter(tree, node, rows, step, found, reached)
    return found


def _enter(tree: Tree, node: int, rows: Tensor, step: Tensor, found: Tensor, reached: Tensor) -> None:
    """Write what a node's step (k, children) for the images ``rows`` says of its children."""
    total = reached[rows, node][:, None] + step
    for child, below in enumerate(tree.child_nodes(node)):
        if below >= 0:
            reached[rows, below] = total[:, child]
    children, classes = tree.leaf_children(node)
    if children:
        found[rows[:, None], torch.tensor(classes, device=step.device)] = total[:, list(children)]


def _keep_likeliest(reached: Tensor, nodes: list[int], count: int) -> None:
    values = reached[:, nodes]
    kept = torch.zeros_like(values, dtype=torch.bool).scatter(1, values.topk(count, dim=1).indices, True)
    reached[:, nodes] = values.masked_fill(~kept, -torch.inf)
