"""What a network of modules costs, stored and for one image."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from src.methods.hierarchy.nodes import Tree
from src.networks.cost import Cost


class CompositionCost(NamedTuple):
    """Parameters, and multiply-adds for one crop of an image.

    Attributes:
        stored_parameters: of all modules and the trunk.
        hard_parameters, hard_macs: of the modules that an image meets, the mean over images.
        largest_hard_parameters, largest_hard_macs: of the dearest way.
        soft_macs: of all modules.
    """

    stored_parameters: int
    hard_parameters: float
    hard_macs: float
    largest_hard_parameters: int
    largest_hard_macs: int
    soft_macs: int


def composition_cost(
    tree: Tree,
    modules: Sequence[Cost],
    *,
    shares: Tensor | None = None,
    reached: Tensor | None = None,
    trunk: Cost | None = None,
) -> CompositionCost:
    """The cost of a composition from that of its modules, in the order of the tree's nodes.

    Args:
        modules: without the trunk.
        shares: (N,) of the classes among the images, which take the right way; None: all alike.
        reached: (n, nodes), the share of each image's crops that each module was given
            (:meth:`src.methods.hierarchy.composed.ComposedNetwork.reached`), instead of ``shares``.
        trunk: what all modules share.
    """
    parameters, macs = (torch.tensor(values, dtype=torch.float64) for values in zip(*modules, strict=True))
    common = trunk or Cost(0, 0)
    ways = _ways(tree) if reached is None else reached.double().cpu()
    weights = (
        torch.ones(len(ways), dtype=torch.float64) if shares is None or reached is not None else shares.double().cpu()
    )
    active = [(ways @ values + own) for values, own in ((parameters, common.parameters), (macs, common.macs))]
    means = [float((weights * values).sum() / weights.sum()) for values in active]
    return CompositionCost(
        int(parameters.sum()) + common.parameters,
        means[0],
        means[1],
        int(active[0].max()),
        int(active[1].max()),
        int(macs.sum()) + common.macs,
    )


def _ways(tree: Tree) -> Tensor:
    """float64 (N, nodes): 1 for the modules on the way to each class."""
    targets = torch.tensor([node.targets for node in tree.nodes])
    return (targets >= 0).T.double()
