"""How near two classes stand in a label tree."""

from torch import Tensor

from src.methods.hierarchy.nodes import Tree


def similarity(tree: Tree) -> Tensor:
    """float64 (N, N): the shared part of two classes' paths, 1 for the class itself, 0 where they part at the root.

    S(i, j) = |path(i) & path(j)| / max(|path(i)|, |path(j)|); a path holds all nodes below the root down to the class
    itself (the "semantic distance" of L. Friedrichsen 2020, which is a similarity). Its mean over images, of the true
    and the predicted class, is accuracy + (superclass accuracy - accuracy) / 2 where the tree has two levels.
    """
    paths = tree.path_nodes >= 0
    length = paths.sum(1)
    prefixes = tree.prefixes
    shared = ((prefixes[:, None] == prefixes[None]) & paths[:, None] & paths[None]).sum(2)
    return shared.double() / length[:, None].maximum(length[None])
