"""The genetic search for one module per class that together do the network's work (Qi et al. 2022).

A generation: every class's candidates are judged on the same images, a tournament of ensembles gives each its fitness,
and the fittest breed. Tensors from genes to fitness; the network is hidden behind ``evaluate``.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from src.core.errors import UserError
from src.core.seeds import stream
from src.methods.modularity.ensemble import Tournament, rank_unranked, tournament
from src.methods.modularity.genome import GenomeLayout, heuristic_population, random_population
from src.methods.modularity.search_settings import SearchSettings
from src.methods.modularity.search_state import Generation, SearchState, fingerprint, read_state, write_state
from src.statistics.bootstrap import auc


def image_rungs(labels: Tensor, racing: Sequence[float], seed: int) -> tuple[Tensor, list[slice]]:
    """The images in the order in which a search looks at them, int64 (n,), and its parts, which candidates race over.

    Without ``racing`` they stay as they are, one part. Else all candidates see them in the same drawn order, in
    which the classes are as frequent in every part as in the whole; part k ends at the share ``racing[k]`` of them.

    Raises:
        UserError: a class has no image in the first part.
    """
    if not racing:
        return torch.arange(len(labels)), [slice(0, len(labels))]
    chance = torch.rand(len(labels), generator=stream(seed, "racing"), dtype=torch.float64)
    place = torch.empty_like(chance)  # where in its class an image stands, from 0 to 1
    for label in labels.unique():
        of_class = (labels == label).nonzero().flatten()
        place[of_class[chance[of_class].argsort()]] = (torch.arange(len(of_class)) + 0.5).double() / len(of_class)
    order = place.argsort(stable=True)
    parts = _parts(len(labels), racing)
    missing = sorted(set(labels.tolist()) - set(labels[order[parts[0]]].tolist()))
    if missing:
        raise UserError(
            f"search.racing={list(racing)}: no image of class {missing[0]} among the first {parts[0].stop}; raise the "
            "first share, or set search.racing=[]"
        )
    return order, parts


def check_memory(settings: SearchSettings, classes: int, kernels: int, images: int) -> None:
    """Refuse a search whose tournament does not fit into half of ``settings.memory_gb``; the rest is for what is
    remembered.

    What bounds it: two numbers per surviving ensemble and image on the first level, and the logits of all candidates.

    Raises:
        UserError: it does not fit.
    """
    survivors = min(settings.max_ensembles, settings.population**2) + 1
    half = -(-classes // 2)
    logits = 4 * classes * settings.population * images
    ensembles = 8 * half * survivors * images
    pairs = 4 * (half * settings.population) ** 2 + 32 * survivors**2 + 8 * survivors * half * settings.population
    genes = 5 * classes * settings.population * kernels
    needed = (logits + ensembles + pairs + genes) / 1e9
    if needed > settings.memory_gb / 2:
        raise UserError(
            f"search.memory_gb={settings.memory_gb:g}: {classes} classes of {settings.population} candidates on "
            f"{images} images need {2 * needed:.3g}; raise it, or lower search.population, search.max_ensembles or "
            "the validation images"
        )


def search(
    evaluate: Callable[[Tensor, int], Tensor],
    layout: GenomeLayout,
    order: Tensor,
    sensitive: Tensor,
    labels: Tensor,
    weight: Tensor,
    settings: SearchSettings,
    *,
    checkpoint: Path | None = None,
    on_generation: Callable[[Generation], None] | None = None,
) -> SearchState:
    """Search modules for all classes: the last state, with the best of them.

    It is a pure function of the arguments: a search that was killed and started again with the same
    ``checkpoint`` ends as one never killed.

    Args:
        evaluate: (bool (N, P, K) kept kernels of P modules of each class, number of a part of the images) -> float
            (N, P, m), each module's raw logit of its class on the part's m images; see ``image_rungs``.
        order: (N, K) kernel positions by falling importance within each layer, see ``GenomeLayout.decode``.
        sensitive: bool (L,), layers that start with ``settings.sensitive_ratios``.
        labels: int64 (n,) of the images, in 0..N-1, in their order.
        weight: (K,) convolutions that each position of the kernel axis stands for.
        checkpoint: a file that is replaced after every generation. A damaged one or one of another search is passed
            over and named in ``events``.
        on_generation: called after each generation was judged and saved; first for those judged before a kill.

    Raises:
        UserError: a class without images.
    """
    classes = len(order)
    missing = sorted(set(range(classes)) - set(labels.tolist()))
    if missing:
        raise UserError(f"search: no image of class {missing[0]} among {len(labels)}; take more validation images")
    owner = fingerprint(
        {**asdict(settings), "group_sizes": layout.group_sizes, "genes": layout.genes},
        {"order": order, "sensitive": sensitive, "labels": labels, "weight": weight},
    )
    parts = _parts(len(labels), settings.racing)
    state, event = read_state(checkpoint, owner) if checkpoint else (None, "")
    state = state or _beginning(layout, order, sensitive, settings)
    if on_generation:
        for generation in state.history:
            on_generation(generation)
    class_order = torch.randperm(classes, generator=stream(settings.seed, "classes")).tolist()
    while not _is_over(state, settings):
        keep = layout.decode(state.population, order)
        race = _race(evaluate, parts, state, keep, weight, labels, class_order, settings)
        state = _after(state, race, layout, order, keep, weight, settings)
        if checkpoint:
            write_state(checkpoint, state, owner)
        if on_generation:
            on_generation(state.history[-1])
    return replace(state, events=(event,) if event else ())


def _is_over(state: SearchState, settings: SearchSettings) -> bool:
    waited = state.generation - 1 - state.best
    return state.generation > settings.generations or (settings.patience is not None and waited >= settings.patience)


def _beginning(layout: GenomeLayout, order: Tensor, sensitive: Tensor, settings: SearchSettings) -> SearchState:
    ratios = [settings.sensitive_ratios if layer else settings.other_ratios for layer in sensitive.tolist()]
    rows = []
    for index in range(len(order)):
        generator = stream(settings.seed, "population", index)
        if settings.initialisation == "heuristic":
            rows.append(heuristic_population(layout, settings.population, ratios, generator))
        else:
            rows.append(random_population(layout, settings.population, generator))
    population = torch.stack(rows)
    return SearchState(
        generation=0,
        population=population,
        candidates=_new_candidates(layout.decode(population, order), None),
        alpha=settings.alpha,
        keep=torch.ones_like(order, dtype=torch.bool),
    )


class _Race(NamedTuple):
    """What a generation's modules came to, on all images."""

    fitness: Tensor  # float64 (N, P); below 0 where a module was out before
    members: Tensor  # (E, N) the ensembles' modules, best first
    judged: Tournament


def _race(
    evaluate: Callable[[Tensor, int], Tensor],
    parts: Sequence[slice],
    state: SearchState,
    keep: Tensor,
    weight: Tensor,
    labels: Tensor,
    class_order: Sequence[int],
    settings: SearchSettings,
) -> _Race:
    """Judge modules ``keep`` (N, P, K) on more and more images. After each part but the last, half of those leave who
    would not breed if the order of merit stayed as it is (successive halving, Jamieson and Talwalkar 2016)."""
    classes, size, _ = keep.shape
    runners = torch.arange(size).expand(classes, -1)  # (N, S) numbers of those still in, rising
    logits: Tensor | None = None
    for number, part in enumerate(parts):
        racing = keep.gather(1, runners[..., None].expand(-1, -1, keep.shape[2]))
        # A module whose numbers overflow claims no image and is the first to be replaced.
        fresh = torch.nan_to_num(evaluate(racing, number).float(), nan=-torch.inf)
        logits = fresh if logits is None else torch.cat([logits, fresh], dim=2)
        seen = labels[: part.stop]
        judged = tournament(
            logits,
            seen.to(logits.device),
            racing,
            weight,
            class_order=class_order,
            alpha=state.alpha,
            difference_weight=1 - settings.alpha,
            thresholds=settings.thresholds,
            minimum=settings.min_ensembles,
            maximum=settings.max_ensembles,
            keep_incumbent=state.generation > 0,
        )
        fitness = fitness_of_all(judged, logits, seen, settings)
        if number + 1 == len(parts):
            break
        fitness[:, 0] = torch.inf  # number 0 of every class is the best ensemble so far, which no race may lose
        staying = settings.parents + (runners.shape[1] - settings.parents) // 2
        chosen = ranking(fitness)[:, :staying].sort(dim=1).values
        runners = runners.gather(1, chosen)
        logits = logits.gather(1, chosen[..., None].expand(-1, -1, logits.shape[2]).to(logits.device))
    everyone = torch.full((classes, size), -1.0, dtype=torch.float64).scatter(1, runners, fitness)
    return _Race(everyone, runners.T.gather(0, judged.members.cpu()), judged)


def _parts(images: int, racing: Sequence[float]) -> list[slice]:
    """The parts of ``image_rungs``."""
    stops = [max(1, round(share * images)) for share in racing] + [images]
    return [slice(first, stop) for first, stop in zip([0, *stops], stops, strict=False)]


def fitness_of_all(judged: Tournament, logits: Tensor, labels: Tensor, settings: SearchSettings) -> Tensor:
    """Fitness (N, P) of all modules, on the CPU."""
    if settings.unranked == "zero":
        return judged.fitness.cpu()
    labels = labels.to(logits.device)
    quality = torch.stack([auc(rows, labels == c) for c, rows in enumerate(logits)])
    return rank_unranked(judged.fitness, quality).cpu()


def _after(
    state: SearchState,
    race: _Race,
    layout: GenomeLayout,
    order: Tensor,
    keep: Tensor,
    weight: Tensor,
    settings: SearchSettings,
) -> SearchState:
    """The state before the next generation."""
    members, judged = race.members[0], race.judged
    best = keep[torch.arange(len(keep)), members]  # (N, K)
    accuracy, difference = judged.accuracy[0].item(), judged.difference[0].item()
    value = settings.alpha * accuracy + (1 - settings.alpha) * difference
    improved = value > state.value
    share = weight.double() / weight.sum()
    entry = Generation(
        generation=state.generation,
        accuracy=accuracy,
        mean_accuracy=judged.accuracy.mean().item(),
        difference=difference,
        fitness=judged.ensemble_fitness[0].item(),
        alpha=state.alpha,
        retained=(best.double() @ share).mean().item(),
        population_retained=(keep.double() @ share).mean().item(),
        candidates=state.candidates,
        improved=improved,
    )
    # The best ensemble's modules come first also where others have the same fitness: number 0 of every class is one
    # ensemble, and the next tournament must not lose it.
    selection = race.fitness.index_put((torch.arange(len(keep)), members), race.fitness.new_tensor(torch.inf))
    population = next_population(
        state.population,
        selection,
        parents=settings.parents,
        keep_parents=settings.keep_parents,
        mutation_percent=settings.mutation_percent,
        seed=settings.seed,
        generation=state.generation + 1,
    )
    following = replace(
        state,
        generation=state.generation + 1,
        population=population,
        candidates=_new_candidates(layout.decode(population, order), keep),
        alpha=settings.alpha + max(0.0, settings.gamma - accuracy),
        history=(*state.history, entry),
    )
    if not improved:
        return following
    return replace(following, keep=best, best=state.generation, value=value, accuracy=accuracy, difference=difference)


def _new_candidates(keep: Tensor, before: Tensor | None) -> int:
    """Distinct modules of ``keep`` (N, P, K) that are not among those ``before``: what an evaluator has to run."""
    if before is None:
        return sum(len(rows.unique(dim=0)) for rows in keep)
    both = torch.cat([before, keep], dim=1)
    return sum(len(rows.unique(dim=0)) - len(known.unique(dim=0)) for rows, known in zip(both, before, strict=True))


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

    Every draw is a pure function of (seed, generation, class): classes differ from one another, and a resumed search
    goes on as it would have. (The original of Qi et al. 2022 starts all classes from identical genes.)
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
