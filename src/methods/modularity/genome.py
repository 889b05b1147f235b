"""A module as a string of genes: each gene keeps or drops kernels of one layer that are alike in importance.

Qi et al., Patching Weak Convolutional Neural Network Models through Modularization and Composition, ASE 2022.
The kernels of all layers lie on one axis of length K; coupled convolutions are one layer here, as in a slice plan.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Self

import torch
from torch import Tensor

TEMPERATURE = 10.0
"""Genes over which the chance of being drawn first falls by e. The paper's constant for 10 and for 100 genes alike:
with 10 genes the first is 2.5 times as likely as the last, with 100 genes the first ones are nearly always taken.
Layers of fewer than 10 genes keep it, so their start is nearly uniform."""


@dataclass(frozen=True)
class GenomeLayout:
    """How many kernels each layer has and how many genes stand for them.

    Attributes:
        group_sizes: kernels K_l of each layer, in the order of the kernel axis.
        genes: genes g_l of each layer, 1 <= g_l <= K_l. A layer's kernels, sorted by falling importance, are cut into
            g_l runs; where K_l is no multiple of g_l, the first ``K_l mod g_l`` runs hold one kernel more.
    """

    group_sizes: tuple[int, ...]
    genes: tuple[int, ...]

    @classmethod
    def paper(cls, group_sizes: Sequence[int]) -> Self:
        """10 genes for a layer of fewer than 256 kernels, else 100; never more than kernels."""
        return cls(tuple(group_sizes), tuple(min(size, 10 if size < 256 else 100) for size in group_sizes))

    @property
    def layers(self) -> int:
        return len(self.group_sizes)

    @property
    def kernels(self) -> int:
        """K: length of the kernel axis."""
        return sum(self.group_sizes)

    @property
    def length(self) -> int:
        """G: genes of a solution."""
        return sum(self.genes)

    @cached_property
    def layer_of_kernel(self) -> Tensor:
        """(K,) the layer of each position on the kernel axis."""
        return torch.arange(self.layers).repeat_interleave(torch.tensor(self.group_sizes))

    @cached_property
    def first_kernel(self) -> Tensor:
        """(L,) where each layer begins on the kernel axis."""
        sizes = torch.tensor(self.group_sizes)
        return sizes.cumsum(0) - sizes

    @cached_property
    def gene_of_rank(self) -> Tensor:
        """(K,) the gene that decides over the kernel of each rank; ranks run layer by layer, most important first."""
        runs = [
            size // genes + int(gene < size % genes)
            for size, genes in zip(self.group_sizes, self.genes, strict=True)
            for gene in range(genes)
        ]
        return torch.arange(self.length).repeat_interleave(torch.tensor(runs))

    def decode(self, population: Tensor, order: Tensor) -> Tensor:
        """The kernels that solutions keep.

        Args:
            population: bool (..., P, G).
            order: (..., K) positions on the kernel axis, layer by layer, most important first within its layer.

        Returns:
            bool (..., P, K) in the natural order of the kernel axis. A layer without active genes keeps its most
            important kernel: an empty layer would cut the network.
        """
        by_rank = population[..., self.gene_of_rank]  # (..., P, K)
        kept = torch.zeros(*by_rank.shape[:-1], self.layers, dtype=torch.int32)
        kept.index_add_(-1, self.layer_of_kernel, by_rank.int())
        by_rank[..., self.first_kernel] |= kept == 0
        target = order.unsqueeze(-2).expand_as(by_rank)
        return torch.zeros_like(by_rank).scatter_(-1, target, by_rank)


def heuristic_population(
    layout: GenomeLayout, size: int, ratios: Sequence[Sequence[float]], generator: torch.Generator
) -> Tensor:
    """Solutions that keep a drawn share of each layer, important kernels first of all.

    For each solution and layer a ratio is drawn uniformly from ``ratios[layer]``; int(genes * ratio) genes, at least
    one, are then drawn without replacement, gene j of g with chances in proportion to exp((g - 1 - j) / 10).

    Returns:
        bool (size, G).
    """
    # The largest (log weight + Gumbel noise) are a draw without replacement (Kool et al., ICML 2019).
    noise = torch.rand(size, layout.length, generator=generator, dtype=torch.float64).clamp_min(1e-300)
    gumbel = -torch.log(-torch.log(noise).clamp_max(-1e-300))
    layers = []
    for genes, choices, keys in zip(layout.genes, ratios, gumbel.split(layout.genes, dim=1), strict=True):
        # int() of 0.57 * 100 is 56: a ratio is meant as the decimal number it is written as.
        counts = torch.tensor([max(1, int(genes * ratio + 1e-9)) for ratio in choices])
        drawn = counts[torch.randint(len(choices), (size,), generator=generator)]  # (size,)
        rank = (keys - torch.arange(genes) / TEMPERATURE).argsort(dim=1, descending=True).argsort(dim=1)
        layers.append(rank < drawn[:, None])
    return torch.cat(layers, dim=1)


def random_population(layout: GenomeLayout, size: int, generator: torch.Generator) -> Tensor:
    """Solutions of fair coin flips: bool (size, G)."""
    return torch.rand(size, layout.length, generator=generator) < 0.5
