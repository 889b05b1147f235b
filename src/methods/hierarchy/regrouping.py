"""Another arrangement of routers over the same experts."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from src.core.errors import UserError
from src.methods.hierarchy.clustering import groups_of
from src.methods.hierarchy.nodes import Tree
from src.methods.hierarchy.tree import from_plain


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
    between = (
        confusion.double()
        .cpu()
        .flatten()
        .new_zeros(count * count)
        .index_add_(0, pairs, confusion.double().cpu().flatten())
    )
    members = sorted(groups_of(between.view(count, count), groups, where))
    plain: dict[str, Any] = {
        f"group {number + 1}": {root.children[child]: nested[root.children[child]] for child in group}
        for number, group in enumerate(members)
    }
    return from_plain(plain, tree.classes, where)
