"""Parents, children and mutations as the paper has them."""

import torch

from src.methods.modularity.evolution import next_population, ranking

GENES = 40


def breed(population: torch.Tensor, fitness: torch.Tensor, **changes: float) -> torch.Tensor:
    arguments = {"parents": 4, "keep_parents": 2, "mutation_percent": 5.0, "seed": 0, "generation": 1, **changes}
    return next_population(population, fitness, **arguments)  # type: ignore[arg-type]


def population() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return torch.rand(3, 12, GENES, generator=generator) < 0.5, torch.rand(3, 12, generator=generator)


def test_equal_fitness_prefers_the_higher_index() -> None:
    assert ranking(torch.tensor([[0.5, 0.9, 0.5, 0.1]])).tolist() == [[1, 2, 0, 3]]


def test_the_best_pass_unchanged_in_falling_order() -> None:
    solutions, fitness = population()
    following = breed(solutions, fitness)
    for c in range(3):
        best = fitness[c].argsort(descending=True)[:2]
        assert torch.equal(following[c, :2], solutions[c, best])
    assert following.shape == solutions.shape


def test_a_child_is_two_parents_at_one_cut_but_for_its_mutations() -> None:
    solutions, fitness = population()
    following = breed(solutions, fitness, mutation_percent=5.0)
    changed = []
    for c in range(3):
        parents = solutions[c, fitness[c].argsort(descending=True)[:4]]
        for k, child in enumerate(following[c, 2:]):
            head, tail = parents[k % 4], parents[(k + 1) % 4]
            distance = [int((torch.cat([head[:cut], tail[cut:]]) != child).sum()) for cut in range(GENES)]
            changed.append(min(distance))
    assert max(changed) <= 2  # 5% of 40 genes are drawn, and a coin decides over each
    assert 0 < sum(changed) < 2 * len(changed)


def test_mutation_draws_distinct_genes_and_at_least_one() -> None:
    same = torch.zeros(1, 200, GENES, dtype=torch.bool)
    fitness = torch.zeros(1, 200)
    whole = breed(same, fitness, parents=1, keep_parents=1, mutation_percent=100)
    assert 0.47 < whole[0, 1:].double().mean() < 0.53
    least = breed(same, fitness, parents=1, keep_parents=1, mutation_percent=0)
    counts = least[0, 1:].sum(dim=1)
    assert set(counts.tolist()) == {0, 1}


def test_draws_are_a_function_of_seed_generation_and_class() -> None:
    solutions, fitness = population()
    alike = solutions[:1].expand(3, -1, -1), fitness[:1].expand(3, -1)
    following = breed(*alike)
    assert torch.equal(following, breed(*alike))
    assert not torch.equal(following[0], following[1])
    assert not torch.equal(following, breed(*alike, generation=2))
    assert not torch.equal(following, breed(*alike, seed=1))
    # A class's draws do not depend on how many classes there are.
    assert torch.equal(following[:1], breed(alike[0][:1], alike[1][:1]))
