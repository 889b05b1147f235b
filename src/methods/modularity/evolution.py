"""Selection, crossover and mutation of Qi et al. 2022, for the populations of all classes at once.

Every draw is a pure function of (seed, generation, class): classes differ from one another, and a resumed search goes
on as it would have. (The original starts all classes from identical genes.)
"""

import torch
from torch import Tensor

from src.core.seeds import stream


def ranking(fitness: Tensor) -> Tensor:
    """(N, P) indices by falling fitness, of equal ones the higher index first."""
    return fitness.argsort(dim=-1, stable=True).flip(-1)


def next_population(
    population: Tensor,
    fitness: Tensor,
    *,
    parents: int,
    keep_parents: int,
    mutation_percent: float,
    seed: int,
    generation: int,
) -> Tensor:
    """The best ``keep_parents`` solutions unchanged, best first, then mutated children of the best ``parents``.

    Child k is parent k up to a cut drawn uniformly from 0..G-1, and parent k + 1 from there (counted round). Then
    int(G * mutation_percent / 100) of its genes, at least one, are replaced by coin flips.

    Args:
        population: bool (N, P, G). fitness: (N, P). generation: number of the population that is made.

    Returns:
        bool (N, P, G).
    """
    classes, size, genes = population.shape
    best = ranking(fitness)[:, :parents, None].expand(-1, -1, genes)
    chosen = population.gather(1, best)  # (N, parents, G)
    children = size - keep_parents
    mutated = max(1, int(genes * mutation_percent / 100))
    draws = [_draws(children, genes, mutated, stream(seed, "children", generation, c)) for c in range(classes)]
    cuts, places, bits = (torch.stack(parts) for parts in zip(*draws, strict=True))
    child = torch.arange(children)
    head, tail = chosen[:, child % parents], chosen[:, (child + 1) % parents]
    offspring = torch.where(torch.arange(genes) < cuts[..., None], head, tail).scatter(2, places, bits)
    return torch.cat([chosen[:, :keep_parents], offspring], dim=1)


def _draws(children: int, genes: int, mutated: int, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
    """Of one class: cuts (C,), mutated genes (C, M), distinct per child, and their new values (C, M)."""
    cuts = torch.randint(genes, (children,), generator=generator)
    places = torch.rand(children, genes, generator=generator).argsort(dim=1, stable=True)[:, :mutated]
    bits = torch.rand(children, mutated, generator=generator) < 0.5
    return cuts, places, bits
