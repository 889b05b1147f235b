"""Genes stand for kernels in order of importance, and no layer is ever empty."""

import math
from itertools import pairwise

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from src.core.seeds import stream
from src.methods.modularity.genome import GenomeLayout, heuristic_population, random_population


def random_order(layout: GenomeLayout, generator: torch.Generator) -> torch.Tensor:
    parts = [
        torch.randperm(size, generator=generator) + first
        for size, first in zip(layout.group_sizes, layout.first_kernel.tolist(), strict=True)
    ]
    return torch.cat(parts)


@st.composite
def layouts(draw: st.DrawFn) -> GenomeLayout:
    sizes = draw(st.lists(st.integers(1, 40), min_size=1, max_size=5))
    return GenomeLayout(tuple(sizes), tuple(draw(st.integers(1, size)) for size in sizes))


def test_the_papers_genes() -> None:
    simcnn = GenomeLayout.paper((64, 64, 128, 128, 256, 256, 256, *[512] * 6))
    assert simcnn.length == 940 and simcnn.kernels == 4224
    assert GenomeLayout.paper((64, 128, 128, 256, 512, 512, 512, 512, 512)).length == 630
    assert GenomeLayout.paper((8, 1, 300)).genes == (8, 1, 100)
    runs = torch.bincount(GenomeLayout.paper((64,)).gene_of_rank).tolist()
    assert runs == [7] * 4 + [6] * 6


@given(layouts())
def test_runs_are_cut_like_array_split(layout: GenomeLayout) -> None:
    expected, gene = [], 0
    for size, genes in zip(layout.group_sizes, layout.genes, strict=True):
        for part in np.array_split(np.arange(size), genes):
            expected += [gene] * len(part)
            gene += 1
    assert layout.gene_of_rank.tolist() == expected


@settings(deadline=None)
@given(layouts(), st.integers(0, 1000))
def test_decode_keeps_what_a_loop_keeps(layout: GenomeLayout, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    order = torch.stack([random_order(layout, generator) for _ in range(2)])
    population = torch.rand(2, 3, layout.length, generator=generator) < 0.3
    keep = layout.decode(population, order)
    for c in range(2):
        for p in range(3):
            expected: set[int] = set()
            first = gene = 0
            for size, genes in zip(layout.group_sizes, layout.genes, strict=True):
                ranked = order[c, first : first + size].tolist()
                kept = []
                for index, part in enumerate(np.array_split(ranked, genes)):
                    kept += part.tolist() if population[c, p, gene + index] else []
                expected |= set(kept or ranked[:1])
                first, gene = first + size, gene + genes
            assert set(keep[c, p].nonzero().flatten().tolist()) == expected
    assert torch.equal(layout.decode(population[1], order[1]), keep[1])


@settings(deadline=None)
@given(layouts(), st.integers(0, 1000))
def test_all_genes_keep_all_kernels_and_none_keeps_one_per_layer(layout: GenomeLayout, seed: int) -> None:
    order = random_order(layout, torch.Generator().manual_seed(seed))
    population = torch.stack([torch.ones(layout.length), torch.zeros(layout.length)]).bool()
    everything, nothing = layout.decode(population, order)
    assert everything.all()
    assert nothing.nonzero().flatten().tolist() == sorted(order[layout.first_kernel].tolist())
    assert not population[1].any(), "decode must not write into the population"


@settings(deadline=None)
@given(layouts(), st.lists(st.floats(0.05, 1), min_size=1, max_size=3), st.integers(0, 1000))
def test_heuristic_counts(layout: GenomeLayout, ratios: list[float], seed: int) -> None:
    drawn = heuristic_population(layout, 6, [ratios] * layout.layers, torch.Generator().manual_seed(seed))
    for genes, part in zip(layout.genes, drawn.split(layout.genes, dim=1), strict=True):
        allowed = {max(1, math.floor(genes * ratio + 1e-9)) for ratio in ratios}
        assert set(part.sum(dim=1).tolist()) <= allowed


def test_heuristic_prefers_important_genes_as_the_formula_says() -> None:
    layout = GenomeLayout((10,), (10,))
    drawn = heuristic_population(layout, 40_000, [[0.1]], torch.Generator().manual_seed(0))
    expected = torch.exp((9 - torch.arange(10)) / 10.0)
    assert torch.allclose(drawn.double().mean(dim=0), (expected / expected.sum()).double(), atol=0.008)
    steep = heuristic_population(GenomeLayout((512,), (100,)), 200, [[0.4]], torch.Generator().manual_seed(0))
    assert steep[:, :15].double().mean() > 0.97 and steep[:, 80:].double().mean() < 0.06


def test_draws_depend_on_seed_and_class_alone() -> None:
    layout = GenomeLayout.paper((64, 300))
    ratios = [[0.5, 0.7]] * 2

    def draw(seed: int, index: int) -> torch.Tensor:
        return heuristic_population(layout, 5, ratios, stream(seed, "population", index))

    assert torch.equal(draw(0, 1), draw(0, 1))
    assert not torch.equal(draw(0, 0), draw(0, 1)) and not torch.equal(draw(0, 0), draw(1, 0))
    coins = random_population(layout, 50, stream(0, "population", 0))
    assert coins.shape == (50, 110) and 0.45 < coins.double().mean() < 0.55
    assert all(a < b for a, b in pairwise(layout.first_kernel.tolist()))
