"""The factorisation is exact, and the thesis's numbers split as the reference says."""

from __future__ import annotations

import math

import pytest
import torch

from src.methods.hierarchy.composition import Composition, compose
from src.methods.hierarchy.error_split import factors, level_hits, shares_of_gap, split_gap, summed_answers
from src.methods.hierarchy.nodes import Tree
from src.methods.hierarchy.tree import from_superclasses
from tests.methods.hierarchy.trees import MIXED, THREE, TREES, TWO, answers_of


def test_the_thesis():
    def image_rows(coarse: int, fine: int) -> torch.Tensor:
        """Of 10,000 images: right superclass, right class."""
        images = torch.arange(10_000)
        return torch.stack([images < coarse, images < fine], dim=1)

    own, benchmark = image_rows(6082, 3569), image_rows(6512, 5319)
    assert factors(own).tolist() == pytest.approx([0.6082, 0.5868], abs=1e-4)
    assert factors(benchmark).tolist() == pytest.approx([0.6512, 0.8168], abs=1e-4)
    found = split_gap(own, benchmark, resamples=500, seed=0)
    assert found.router.value == pytest.approx(0.17, abs=0.005) and found.experts.value == pytest.approx(
        0.83, abs=0.005
    )
    assert found.gap.value == pytest.approx(math.log(0.5319 / 0.3569))
    assert found.router.low < found.router.value < found.router.high and found.router.n == 10_000
    assert found.network[1].low < 0.5868 < found.network[1].high and found.benchmark[0].value == pytest.approx(0.6512)
    assert found.router.value + found.experts.value == pytest.approx(1)


@pytest.mark.parametrize("tree", TREES.values(), ids=TREES)
@pytest.mark.parametrize("reading", ["argmax", "summed"])
def test_accuracy_is_the_product(tree: Tree, reading: str):
    logits = answers_of(tree, 400)
    labels = torch.arange(400) % len(tree.classes)
    for rule in ("soft", "hard"):
        found = compose(tree, logits, Composition(rule))
        hits = level_hits(tree, found, labels, reading)
        assert hits.shape == (400, tree.depth)
        assert factors(hits).prod().item() == pytest.approx((found.argmax(1) == labels).double().mean().item())
        if reading == "argmax":
            assert (factors(hits) <= 1).all() and torch.equal(hits, hits.cumprod(1).bool())


def test_what_each_level_means():
    say = torch.eye(8, dtype=torch.float64).mul(5).log_softmax(1)[[0, 1, 2, 3, 5, 7, 7]]
    labels = torch.tensor([0, 0, 4, 5, 5, 7, 0])  # right, sibling, same node, same branch, right, right, elsewhere
    expected = [[1, 1, 1], [1, 0, 0], [1, 1, 0], [1, 0, 0], [1, 1, 1], [1, 1, 1], [0, 0, 0]]
    for reading in ("argmax", "summed"):
        assert level_hits(THREE, say, labels, reading).int().tolist() == expected


def test_two_readings_of_a_superclass():
    probabilities = torch.tensor([[0.3, 0.4, 0.25, 0.01, 0.04]], dtype=torch.float64)  # cat, car, dog, bus, owl
    for label, argmax, summed in ((0, [0, 0], [1, 0]), (1, [1, 1], [0, 1])):
        for reading, expected in (("argmax", argmax), ("summed", summed)):
            hits = level_hits(TWO, probabilities.log(), torch.tensor([label]), reading)
            assert hits[0].int().tolist() == expected
    root, animals, vehicles = summed_answers(TWO, probabilities.log())
    assert root.exp()[0].tolist() == pytest.approx([0.59, 0.41])
    assert animals.exp()[0].tolist() == pytest.approx([0.3, 0.25, 0.04]) and vehicles.exp()[
        0, 1
    ].item() == pytest.approx(0.01)


def test_a_composition_read_by_sums_is_its_modules():
    logits = answers_of(MIXED)
    soft = compose(MIXED, logits, Composition("soft"))
    for heard, said in zip(summed_answers(MIXED, soft), logits, strict=True):
        assert torch.allclose(heard.log_softmax(1), said.double().log_softmax(1))


def test_the_interval_is_that_of_the_paired_bootstrap():
    generator = torch.Generator().manual_seed(0)
    draws = torch.rand(300, 4, generator=generator)
    own = torch.stack([draws[:, 0] < 0.6, (draws[:, 0] < 0.6) & (draws[:, 1] < 0.6)], dim=1)
    benchmark = torch.stack([draws[:, 0] < 0.7, (draws[:, 0] < 0.7) & (draws[:, 1] < 0.85)], dim=1)
    found = split_gap(own, benchmark, resamples=2000, seed=1)
    from numpy.random import default_rng

    random, samples = default_rng(0), []
    for _ in range(2000):
        drawn = torch.from_numpy(random.integers(0, 300, 300))
        a, b = own[drawn].double().mean(0), benchmark[drawn].double().mean(0)
        samples.append(float((b[0] / a[0]).log() / (b[1] / a[1]).log()))
    low, high = torch.tensor(samples).quantile(torch.tensor([0.025, 0.975])).tolist()
    assert found.router.low == pytest.approx(low, abs=0.03) and found.router.high == pytest.approx(high, abs=0.03)


def test_no_gap_has_no_shares():
    one = torch.tensor([0.5, 0.5])
    assert shares_of_gap(one, one).isnan().all()
    tree = from_superclasses(list("abcd"), list("xxyy"))
    same = level_hits(tree, torch.eye(4).double().log(), torch.arange(4))
    assert math.isnan(split_gap(same, same, resamples=10, seed=0).router.value)
