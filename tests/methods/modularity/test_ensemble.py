"""The tournament in tensors does what a tournament in loops does."""

import itertools

import pytest
import torch

from src.methods.modularity.ensemble import (
    composed_accuracy,
    jaccard_difference,
    rank_unranked,
    threshold_of,
    tournament,
)


def problem(classes: int, population: int, images: int, seed: int = 0, kernels: int = 30) -> tuple[torch.Tensor, ...]:
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(images) % classes
    skill = 2.5 * torch.rand(classes, population, 1, generator=generator)
    logits = torch.randn(classes, population, images, generator=generator)
    logits += skill * (labels == torch.arange(classes)[:, None, None])
    keep = torch.rand(classes, population, kernels, generator=generator) < 0.6
    weight = torch.randint(1, 3, (kernels,), generator=generator)
    return logits, labels, keep, weight


def set_difference(first: torch.Tensor, second: torch.Tensor, weight: torch.Tensor) -> float:
    names = [
        {(k, copy) for k in row.nonzero().flatten().tolist() for copy in range(int(weight[k]))}
        for row in (first, second)
    ]
    union = names[0] | names[1]
    return 1 - len(names[0] & names[1]) / len(union) if union else 0.0


def naive_tournament(logits, labels, keep, weight, order, alpha, share, thresholds, minimum, maximum, incumbent):
    """The reference's section 1.10 with lists, sets and argmax."""
    classes, population, _ = logits.shape

    def judge(ensemble):
        own = sorted(ensemble)
        images = [i for i in range(len(labels)) if int(labels[i]) in ensemble]
        right = sum(
            own[int(torch.stack([logits[c, ensemble[c], i] for c in own]).argmax())] == labels[i] for i in images
        )
        pairs = [
            set_difference(keep[a, ensemble[a]], keep[b, ensemble[b]], weight)
            for a, b in itertools.combinations(own, 2)
        ]
        accuracy, difference = float(right) / len(images), sum(pairs) / len(pairs)
        return accuracy, difference, alpha * accuracy + share * difference

    lists = [[{c: p} for p in range(population)] for c in order]
    while len(lists) > 1:
        following = []
        for k in range(0, len(lists) - 1, 2):
            joined = [{**a, **b} for a in lists[k] for b in lists[k + 1]]
            scored = [(ensemble, *judge(ensemble)) for ensemble in joined]
            threshold = thresholds[max((s for s in thresholds if s <= len(joined[0])), default=min(thresholds))]
            count = min(max(sum(row[1] >= threshold for row in scored), minimum), maximum)
            scored.sort(key=lambda row: (-row[1], -row[2]))
            kept = scored[:count]
            if incumbent and not any(set(row[0].values()) == {0} for row in kept):
                kept += [row for row in scored if set(row[0].values()) == {0}]
            following.append(sorted(kept, key=lambda row: -row[3]))
        odd = [[(e,) for e in lists[-1]]] if len(lists) % 2 else []
        final = following
        lists = [[row[0] for row in found] for found in following + odd]
    fitness = [[max((row[3] for row in final[0] if row[0][c] == p), default=0.0) for p in range(population)]
               for c in range(classes)]  # fmt: skip
    return fitness, final[0]


@pytest.mark.parametrize(
    ("classes", "population", "images", "minimum", "maximum", "incumbent", "chunk"),
    [
        (2, 5, 24, 1, 500, False, 1 << 20),
        (3, 4, 36, 3, 6, True, 1),
        (5, 3, 60, 4, 10, True, 64),
        (6, 3, 72, 2, 5, False, 1 << 20),
        (4, 5, 8, 3, 3, False, 1 << 20),  # so few images that many ensembles are equally accurate
    ],
)
def test_tournament_equals_loops(classes, population, images, minimum, maximum, incumbent, chunk) -> None:
    logits, labels, keep, weight = problem(classes, population, images, seed=classes)
    order = torch.randperm(classes, generator=torch.Generator().manual_seed(1)).tolist()
    thresholds = {2: 0.85, 4: 0.7, 5: 0.6}
    found = tournament(
        logits, labels, keep, weight, class_order=order, alpha=0.95, difference_weight=0.1, thresholds=thresholds,
        minimum=minimum, maximum=maximum, keep_incumbent=incumbent, chunk_bytes=chunk,
    )  # fmt: skip
    fitness, final = naive_tournament(
        logits, labels, keep, weight, order, 0.95, 0.1, thresholds, minimum, maximum, incumbent
    )
    assert torch.allclose(found.fitness, torch.tensor(fitness, dtype=torch.float64), atol=1e-6)
    assert [row.tolist() for row in found.members] == [[row[0][c] for c in range(classes)] for row in final]
    assert found.accuracy.tolist() == pytest.approx([row[1] for row in final])
    assert found.difference.tolist() == pytest.approx([row[2] for row in final], abs=1e-6)


def test_the_incumbent_is_never_lost() -> None:
    logits, labels, keep, weight = problem(7, 6, 70)
    logits[:, 0] = torch.where(labels == torch.arange(7)[:, None], -5.0, 5.0)  # modules number 0 are always wrong
    arguments = {
        "class_order": list(range(7)), "alpha": 0.9, "difference_weight": 0.1, "thresholds": {2: 0.9}, "minimum": 3,
        "maximum": 8,
    }  # fmt: skip
    with_it = tournament(logits, labels, keep, weight, keep_incumbent=True, **arguments)
    assert (with_it.members == 0).all(dim=1).sum() == 1 and len(with_it.members) <= 9
    assert (with_it.fitness[:, 0] > 0).all()
    without = tournament(logits, labels, keep, weight, keep_incumbent=False, **arguments)
    assert not (without.members == 0).all(dim=1).any()


def test_accuracy_is_the_argmax_of_the_modules_together() -> None:
    logits, labels, keep, weight = problem(10, 4, 100)
    found = tournament(
        logits, labels, keep, weight, class_order=list(range(10)), alpha=0.9, difference_weight=0.1, thresholds={},
        minimum=5, maximum=20, keep_incumbent=False,
    )  # fmt: skip
    assert len(found.members) == 20  # no threshold: all pass, up to the maximum
    for members, accuracy in zip(found.members, found.accuracy, strict=True):
        assert composed_accuracy(logits[torch.arange(10), members], labels) == pytest.approx(accuracy.item())


def test_a_tie_and_an_infinite_logit_win_nothing() -> None:
    logits = torch.tensor([[[1.0, 1.0]], [[1.0, -torch.inf]]])
    keep = torch.ones(2, 1, 3, dtype=torch.bool)
    found = tournament(
        logits, torch.tensor([0, 1]), keep, torch.ones(3), class_order=[0, 1], alpha=1.0, difference_weight=0.0,
        thresholds={2: 0.5}, minimum=1, maximum=1, keep_incumbent=False,
    )  # fmt: skip
    assert found.accuracy.tolist() == [0.0] and found.difference.tolist() == [0.0]


def test_jaccard_equals_sets() -> None:
    _, _, keep, weight = problem(2, 6, 4)
    keep[0, 0] = keep[1, 0] = False
    found = jaccard_difference(keep[0], keep[1], weight)
    expected = [[set_difference(a, b, weight) for b in keep[1]] for a in keep[0]]
    assert torch.allclose(found, torch.tensor(expected), atol=1e-6)
    assert torch.allclose(jaccard_difference(keep[0], keep[0], weight).diagonal(), torch.zeros(6), atol=1e-6)


def test_thresholds_go_down_to_the_next_listed_size() -> None:
    listed = {2: 0.95, 4: 0.9, 10: 0.8}
    assert [threshold_of(size, listed) for size in (2, 3, 4, 8, 10, 100)] == [0.95, 0.95, 0.9, 0.9, 0.8, 0.8]
    assert threshold_of(2, {4: 0.7}) == 0.7 and threshold_of(3, {}) == 0.0


def test_unranked_modules_follow_their_own_quality_below_all_ranked() -> None:
    fitness = torch.tensor([[0.8, 0.0, 0.6, 0.0], [0.0, 0.0, 0.0, 0.0]], dtype=torch.float64)
    quality = torch.tensor([[0.5, 1.0, 0.1, 0.7], [0.2, 0.9, 0.5, 0.4]])
    filled = rank_unranked(fitness, quality)
    assert filled[0, [0, 2]].tolist() == [0.8, 0.6]
    assert filled[0].argsort(descending=True).tolist() == [0, 2, 1, 3]
    assert filled[1].argsort(descending=True).tolist() == [1, 2, 3, 0]
