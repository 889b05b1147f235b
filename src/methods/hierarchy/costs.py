"""What a network of modules costs, stored and for one image."""

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
        soft_macs: of all modules.
    """

    stored_parameters: int
    hard_parameters: float
    hard_macs: float
    soft_macs: int


def composition_cost(tree: Tree, modules: Sequence[Cost], *, trunk: Cost | None = None) -> CompositionCost:
    """The cost of a composition from that of its modules, in the order of the tree's nodes.

    Of images of all classes alike, which take the right way.

    Args:
        modules: without the trunk.
        trunk: what all modules share.
    """
    parameters, macs = (torch.tensor(values, dtype=torch.float64) for values in zip(*modules, strict=True))
    common = trunk or Cost(0, 0)
    ways = (tree.on(torch.device("cpu")).targets >= 0).T.double()  # (N, nodes): the modules that each class meets

    def mean(values: Tensor, of_trunk: int) -> float:
        return float((ways @ values + of_trunk).sum() / len(ways))

    return CompositionCost(
        int(parameters.sum()) + common.parameters,
        mean(parameters, common.parameters),
        mean(macs, common.macs),
        int(macs.sum()) + common.macs,
    )
