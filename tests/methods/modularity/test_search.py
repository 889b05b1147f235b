"""The search finds better modules, is a function of its seed, and survives being killed."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import torch
from safetensors import safe_open

from src.core.errors import UserError
from src.core.options import options_of
from src.methods.modularity.ensemble import composed_accuracy, jaccard_difference
from src.methods.modularity.search import next_population, ranking, search
from src.methods.modularity.search_settings import SearchSettings
from src.methods.modularity.search_state import SearchState, read_state
from src.networks.slicing.native import NoCompiler, library
from tests.methods.modularity.real_search import real_search
from tests.methods.modularity.toy_search import CLASSES, LAYOUT, SETTINGS, Toy

ROOT = Path(__file__).parents[3]


def assert_same(first: SearchState, second: SearchState) -> None:
    assert torch.equal(first.keep, second.keep)
    assert first.history == second.history
    for name in ("accuracy", "difference", "value", "best"):
        assert getattr(first, name) == getattr(second, name)


@pytest.fixture(scope="module")
def whole() -> SearchState:
    return Toy().search()


def test_it_improves_and_reports_what_it_found(whole: SearchState) -> None:
    toy = Toy()
    assert len(whole.history) == SETTINGS.generations + 1
    assert whole.history[0].improved and whole.value > 0.9 * whole.history[0].accuracy
    assert whole.accuracy > whole.history[0].accuracy + 0.03
    logits = toy(whole.keep[:, None], 0)[:, 0]
    assert composed_accuracy(logits, toy.labels) == pytest.approx(whole.accuracy)
    weight = torch.cat([torch.full((12,), 2), torch.ones(50, dtype=torch.int64)])
    pairs = jaccard_difference(whole.keep, whole.keep, weight)
    assert pairs.triu(1).sum().item() / 10 == pytest.approx(whole.difference, abs=1e-5)
    assert whole.value == pytest.approx(0.9 * whole.accuracy + 0.1 * whole.difference)
    best = whole.history[whole.best]
    assert best.improved and best.accuracy == whole.accuracy and not any(
        row.improved for row in whole.history[whole.best + 1 :]
    )  # fmt: skip
    assert best.retained == pytest.approx(((whole.keep * weight).sum(1) / weight.sum()).mean().item())


def test_best_fitness_never_falls_and_alpha_follows_the_accuracy(whole: SearchState) -> None:
    fixed = [0.9 * row.accuracy + 0.1 * row.difference for row in whole.history]
    for before, after, low, high in zip(whole.history, whole.history[1:], fixed, fixed[1:], strict=False):
        assert after.alpha == pytest.approx(0.9 + max(0, 0.9 - before.accuracy))
        if after.alpha == before.alpha:
            assert high >= low - 1e-9  # the incumbent stays in the tournament
    assert whole.history[0].candidates == CLASSES * SETTINGS.population
    children = CLASSES * (SETTINGS.population - SETTINGS.keep_parents)
    assert all(0 < row.candidates <= children for row in whole.history[1:])


@pytest.mark.parametrize("seed", range(4))
def test_the_best_ensemble_so_far_is_never_lost(seed: int) -> None:
    # One survivor per level, chosen by accuracy alone: without its protection the best ensemble falls out.
    settings = replace(SETTINGS, seed=seed, gamma=0.0, alpha=0.5, min_ensembles=1, max_ensembles=1, keep_parents=1)
    fitness = [row.fitness for row in Toy().search(settings=settings).history]
    assert fitness == sorted(fitness)


def test_same_seed_same_bits_and_another_seed_differs(whole: SearchState) -> None:
    assert_same(Toy().search(), whole)
    assert not torch.equal(Toy().search(settings=replace(SETTINGS, seed=4)).keep, whole.keep)


def test_initialisation_and_ranking_by_the_paper_run_too() -> None:
    short = replace(SETTINGS, generations=2)
    heuristic = Toy().search(settings=replace(short, unranked="zero"))
    coins = Toy().search(settings=replace(short, initialisation="random"))
    assert heuristic.history[0].accuracy > coins.history[0].accuracy
    assert abs(coins.history[0].population_retained - 0.5) < 0.05


def test_patience_stops_early() -> None:
    def useless(keep: torch.Tensor, part: int) -> torch.Tensor:
        return torch.full((*keep.shape[:2], 100), torch.nan)  # also: a module that overflows does not break the search

    toy, settings = Toy(), replace(SETTINGS, patience=2, alpha=1.0)
    outcome = search(
        useless, LAYOUT, toy.order, torch.zeros(3).bool(), toy.labels, torch.ones(LAYOUT.kernels), settings
    )
    assert len(outcome.history) == 3 and outcome.best == 0 and outcome.accuracy == 0


def test_a_killed_search_ends_as_one_never_killed(whole: SearchState, tmp_path: Path) -> None:
    checkpoint = tmp_path / "search.safetensors"
    command = [sys.executable, "-m", "tests.methods.modularity.toy_search", str(checkpoint), "0.06"]
    process = subprocess.Popen(command, cwd=ROOT, env={**os.environ, "OMP_NUM_THREADS": "1"})
    try:
        while generations_in(checkpoint) < 3:
            assert process.poll() is None, "the search ended before it could be killed"
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
    finally:
        process.kill()
    done = generations_in(checkpoint)
    assert 3 <= done < SETTINGS.generations + 1
    toy, seen = Toy(), []
    outcome = toy.search(checkpoint, on_generation=seen.append)
    assert_same(outcome, whole)
    assert not outcome.events and seen == list(outcome.history), "those judged before are told too, each once"
    fresh = Toy()
    fresh.search(tmp_path / "fresh.safetensors")
    assert 0 < toy.calls < fresh.calls, "it began anew"
    again = Toy()
    assert_same(again.search(checkpoint), whole)
    assert again.calls == 0, "a finished search is read, not repeated"


def generations_in(checkpoint: Path) -> int:
    if not checkpoint.exists():
        return 0
    with safe_open(checkpoint, framework="pt") as file:
        return file.metadata()["state"].count("[") - 1  # each generation is one list


def test_stopping_anywhere_and_going_on_changes_nothing(whole: SearchState, tmp_path: Path) -> None:
    class Stop(Exception):
        pass

    def stop(row) -> None:
        raise Stop

    checkpoint = tmp_path / "a" / "search.safetensors"
    for _ in range(SETTINGS.generations):
        with pytest.raises(Stop):
            Toy().search(checkpoint, on_generation=stop)
    assert_same(Toy().search(checkpoint), whole)
    assert [path.name for path in checkpoint.parent.iterdir()] == ["search.safetensors"]


def test_a_damaged_or_foreign_checkpoint_is_passed_over_and_named(whole: SearchState, tmp_path: Path) -> None:
    checkpoint = tmp_path / "search.safetensors"
    short = replace(SETTINGS, generations=1)
    Toy().search(checkpoint, short)
    foreign = Toy().search(checkpoint)
    assert_same(foreign, whole)
    assert "belongs to another search" in foreign.events[0]
    good = checkpoint.read_bytes()
    flipped = bytearray(good)
    flipped[-40] ^= 1  # a single gene
    for content in (good[: len(good) // 2], b"", b"not a checkpoint", bytes(flipped)):
        checkpoint.write_bytes(content)
        state, reason = read_state(checkpoint, "any")
        assert state is None and reason
        outcome = Toy().search(checkpoint)
        assert_same(outcome, whole)
        assert "damaged" in outcome.events[0] and "began anew" in outcome.events[0]


def test_a_class_without_images_is_named() -> None:
    toy = Toy()
    toy.labels = toy.labels.clamp_max(3)
    with pytest.raises(UserError, match="no image of class 4"):
        toy.search()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"population": 0}, r"search.population=0: allowed is a whole number from 1"),
        ({"generations": 2.5}, r"search.generations=2.5"),
        ({"parents": 200}, r"search.parents=200: must lie from keep_parents=20 to population=100"),
        ({"keep_parents": 0}, r"search.keep_parents=0"),
        ({"mutation_percent": 120}, r"search.mutation_percent=120: allowed is a number from 0 to 100"),
        ({"alpha": -0.1}, r"search.alpha=-0.1"),
        ({"gamma": "high"}, r"search.gamma=high"),
        ({"max_ensembles": 10}, r"search.max_ensembles=10: must be a whole number, 50 or more"),
        ({"patience": 0}, r"search.patience=0"),
        ({"sensitive_ratios": []}, r"search.sensitive_ratios=\[\]: allowed is a list of ratios, each above 0"),
        ({"other_ratios": [0.5, 1.5]}, r"search.other_ratios=\[0.5, 1.5\]"),
        ({"thresholds": {2: 95}}, r"search.thresholds=.*: allowed is an accuracy from 0 to 1 for each"),
        ({"initialisation": "heuristics"}, r"search.initialisation=heuristics: .*did you mean 'heuristic'"),
        ({"unranked": "none"}, r"search.unranked=none: allowed is auc, zero"),
        ({"sed": 1}, r"search.sed is not a setting; did you mean 'seed'"),
    ],
)
def test_settings_out_of_range(changes: dict, message: str) -> None:
    with pytest.raises(UserError, match=message):
        options_of(SearchSettings, changes, "search")


def test_settings_are_read_as_they_are_written() -> None:
    assert options_of(SearchSettings, asdict(SearchSettings()), "search") == SearchSettings()


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


@pytest.mark.slow
@pytest.mark.parametrize("way", ["functional", "fused", "native", "folded"])
def test_a_search_survives_kills_whichever_way_candidates_are_run(way: str, tmp_path: Path) -> None:
    if way == "native":
        try:
            library()
        except NoCompiler:
            pytest.skip("no C++ compiler")
    whole = real_search(way, tmp_path / "whole.safetensors")
    folder = tmp_path / "killed"
    folder.mkdir()
    checkpoint, journal = folder / "search.safetensors", tmp_path / "journal"

    def program(number: int, seconds: float) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "tests.methods.modularity.real_search", way, str(folder), str(journal)]
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        return subprocess.Popen([*command, str(number), str(seconds)], cwd=ROOT, env=environment)

    for done in (1, 2, 3):  # real kills, at moments that nobody chose
        process = program(0, 0.3)
        while generations_in(checkpoint) < done:
            assert process.poll() is None
            time.sleep(0.01)
        process.kill()
        assert process.wait() == -signal.SIGKILL
    assert_same(real_search(way, checkpoint), whole)
    number = 1
    while True:  # and before each operation that changes a file
        for path in folder.iterdir():
            path.unlink()
        if program(number, 0).wait() == 0:
            break
        assert_same(real_search(way, checkpoint), whole)
        number += 2 if number > 6 else 1  # a generation's operations are alike
    assert number > 6
