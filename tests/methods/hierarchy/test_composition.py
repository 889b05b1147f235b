"""Every rule against a slow computation, image by image and class by class."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from src.core.errors import UserError
from src.methods.hierarchy.composition import RULES, Composition, compose, oracle
from src.methods.hierarchy.nodes import Tree
from src.methods.hierarchy.tree import flat
from tests.methods.hierarchy.trees import FLAT, MIXED, THREE, TREES, TWO, answers_of

EVERY = pytest.mark.parametrize("tree", TREES.values(), ids=TREES)


def softmax(values: list[float]) -> list[float]:
    exponentials = [math.exp(value) for value in values]
    return [value / sum(exponentials) for value in exponentials]


def by_hand(
    tree: Tree, logits: list[list[float]], rule: str, *, m: int = 2, beam: int = 3, weights=None
) -> list[float]:
    """One image's probabilities."""
    p = [softmax(row) for row in logits]
    weights = weights or [1 / tree.depth] * tree.depth
    labels = range(len(tree.classes))
    if rule == "product":
        return softmax([sum(logits[node][child] for node, child in tree.path_of(y)) for y in labels])
    if rule == "logarithmic":
        pooled = [math.prod(p[n][c] ** weights[i] for i, (n, c) in enumerate(tree.path_of(y))) for y in labels]
        return [value / sum(pooled) for value in pooled]
    if rule == "additive":
        found = [0.0] * len(labels)
        for y in labels:
            for level, weight in enumerate(weights):
                steps = tree.path_of(y)[: level + 1]
                node, child = steps[-1]
                below = sum(target == child for target in tree.nodes[node].targets)
                found[y] += weight * math.prod(p[n][c] for n, c in steps) / below
        return found
    if rule == "hard":
        node = 0
        while tree.child_nodes(node)[best := p[node].index(max(p[node]))] >= 0:
            node = tree.child_nodes(node)[best]
        children, classes = tree.leaf_children(node)
        mass = sum(p[node][child] for child in children)
        return [p[node][children[classes.index(y)]] / mass if y in classes else 0.0 for y in labels]
    if rule == "top_m":
        for node, row in enumerate(p):
            kept = sorted(range(len(row)), key=lambda child: -row[child])[: len(row) if tree.is_expert(node) else m]
            p[node] = [row[c] / sum(row[k] for k in kept) if c in kept else 0.0 for c in range(len(row))]
    possible = set(range(len(tree.nodes)))
    if rule == "beam":
        reach = {0: 1.0}
        for level in range(tree.depth):
            nodes = sorted((n for n in reach if tree.level_of(n) == level), key=lambda n: -reach[n])[:beam]
            possible -= {n for n in tree.nodes_of_level(level) if n not in nodes}
            for n in nodes:
                reach |= {b: reach[n] * p[n][c] for c, b in enumerate(tree.child_nodes(n)) if b >= 0}
    found = [
        math.prod(p[n][c] for n, c in tree.path_of(y)) * all(n in possible for n, _ in tree.path_of(y)) for y in labels
    ]
    return [value / sum(found) for value in found]


def slowly(tree: Tree, answers: list[Tensor], rule: str, **settings: object) -> Tensor:
    rows = [[answer[image].double().tolist() for answer in answers] for image in range(len(answers[0]))]
    return torch.tensor([by_hand(tree, row, rule, **settings) for row in rows], dtype=torch.float64)


@EVERY
@pytest.mark.parametrize("rule", RULES)
def test_a_rule_is_what_it_says(tree: Tree, rule: str):
    answers = answers_of(tree)
    found = compose(tree, answers, Composition(rule, m=2, beam=1))
    assert found.dtype == torch.float64 and found.shape == (40, len(tree.classes))
    assert torch.allclose(found.exp(), slowly(tree, answers, rule, m=2, beam=1), atol=1e-12)
    assert torch.allclose(found.exp().sum(1), torch.ones(40, dtype=torch.float64), atol=1e-12)


def test_two_levels_by_hand():
    answers = [
        torch.tensor([[0.6, 0.4]]).log(),
        torch.tensor([[0.2, 0.5, 0.3]]).log(),
        torch.tensor([[0.9, 0.1]]).log(),
    ]
    expected = {  # cat, car, dog, bus, owl
        "soft": [0.12, 0.36, 0.3, 0.04, 0.18],
        "hard": [0.2, 0, 0.5, 0, 0.3],
        "additive": [(0.2 + 0.12) / 2, (0.2 + 0.36) / 2, (0.2 + 0.3) / 2, (0.2 + 0.04) / 2, (0.2 + 0.18) / 2],
    }
    for rule, values in expected.items():
        assert compose(TWO, answers, Composition(rule)).exp()[0].tolist() == pytest.approx(values, abs=1e-7), rule
    assert compose(TWO, answers, Composition("soft")).argmax() != compose(TWO, answers, Composition("hard")).argmax()


@EVERY
@pytest.mark.parametrize("rule", ["logarithmic", "additive"])
def test_weights_of_the_levels(tree: Tree, rule: str):
    answers = answers_of(tree)
    weights = tuple(torch.arange(1.0, tree.depth + 1).div(tree.depth * (tree.depth + 1) / 2).tolist())
    found = compose(tree, answers, Composition(rule, weights=weights))
    assert torch.allclose(found.exp(), slowly(tree, answers, rule, weights=list(weights)), atol=1e-7)
    last = (0.0,) * (tree.depth - 1) + (1.0,)
    if rule == "additive":
        soft = compose(tree, answers, Composition("soft"))
        assert torch.allclose(compose(tree, answers, Composition(rule, weights=last)), soft)


@EVERY
def test_rules_meet_at_their_ends(tree: Tree):
    answers = answers_of(tree, seed=1)
    soft = compose(tree, answers, Composition("soft"))
    for whole in (Composition("top_m", m=99), Composition("beam", beam=99)):
        assert torch.allclose(compose(tree, answers, whole), soft)
    if tree in (FLAT, TWO):  # without a class beside inner nodes
        hard = compose(tree, answers, Composition("hard"))
        for narrow in (Composition("top_m", m=1), Composition("beam", beam=1)):
            assert torch.allclose(compose(tree, answers, narrow).exp(), hard.exp())


@EVERY
def test_temperatures_divide_each_modules_logits(tree: Tree):
    answers = answers_of(tree)
    temperatures = tuple(0.5 + 0.25 * node for node in range(len(tree.nodes)))
    for rule in RULES:
        found = compose(tree, answers, Composition(rule, temperatures=temperatures))
        cooled = [answer.double() / t for answer, t in zip(answers, temperatures, strict=True)]
        assert torch.allclose(found.exp(), compose(tree, cooled, Composition(rule)).exp())


@EVERY
@pytest.mark.parametrize("rule", RULES)
def test_crops_are_composed_one_by_one(tree: Tree, rule: str):
    crops = [answers_of(tree, 6, seed=seed) for seed in range(3)]
    stacked = [torch.stack(parts, dim=1) for parts in zip(*crops, strict=True)]  # (6, 3, children)
    expected = sum(compose(tree, crop, Composition(rule)).exp() for crop in crops) / 3
    assert torch.allclose(compose(tree, stacked, Composition(rule)).exp(), expected)


@EVERY
def test_oracle_routing(tree: Tree):
    answers = answers_of(tree)
    labels = torch.arange(40) % len(tree.classes)
    found = oracle(tree, answers, labels).exp()
    for image, label in enumerate(labels.tolist()):
        node, _ = tree.path_of(label)[-1]
        children, classes = tree.leaf_children(node)
        own = torch.zeros(len(tree.classes), dtype=torch.float64)
        own[list(classes)] = answers[node][image][list(children)].double().softmax(0)
        assert torch.allclose(found[image], own)
    crops = [torch.stack([answer, answer], dim=1) for answer in answers]
    assert torch.allclose(oracle(tree, crops, labels).exp(), found)


def test_soft_gating_can_be_trained_as_a_whole():
    answers = [answer.requires_grad_() for answer in answers_of(MIXED)]
    labels = torch.arange(40) % 8
    loss = torch.nn.functional.nll_loss(compose(MIXED, answers, Composition("soft")), labels)
    loss.backward()
    alone = [answer.detach().clone().requires_grad_() for answer in answers]
    sums = torch.zeros((), dtype=torch.float64)
    for node, answer in enumerate(alone):  # each module's own loss, on its own images
        right = torch.tensor(MIXED.nodes[node].targets)[labels]
        sums = sums + torch.nn.functional.cross_entropy(answer[right >= 0].double(), right[right >= 0], reduction="sum")
    (sums / 40).backward()
    for together, own in zip(answers, alone, strict=True):
        assert torch.allclose(together.grad, own.grad, atol=1e-7)


def test_sure_modules_leave_no_nan():
    answers = [1e4 * answer for answer in answers_of(THREE)]
    for rule in RULES:
        found = compose(THREE, answers, Composition(rule))
        assert not found.isnan().any(), rule
        assert torch.allclose(found.exp().sum(1), torch.ones(40, dtype=torch.float64)), rule


def test_settings_of_another_tree():
    answers = answers_of(TWO)
    with pytest.raises(UserError, match="temperatures: 2 for a tree of 3 nodes; give 3"):
        compose(TWO, answers, Composition(temperatures=(1.0, 1.0)))
    with pytest.raises(UserError, match="weights: 1 for a tree of 2 levels; give 2"):
        compose(TWO, answers, Composition("additive", weights=(1.0,)))


def test_plain_and_back():
    one = Composition("additive", m=3, temperatures=(1.0, 2.5, 1.0), weights=(0.25, 0.75), route="crop")
    assert Composition(**one.plain()) == one and one.plain()["weights"] == [0.25, 0.75]


@given(st.integers(0, 10_000), st.integers(1, 4), st.integers(1, 3))
@settings(max_examples=25, deadline=None)
def test_pruned_rules_on_any_answers(seed: int, m: int, beam: int):
    for tree in (THREE, MIXED):
        answers = answers_of(tree, 5, seed=seed, scale=4.0)
        for rule in ("hard", "top_m", "beam"):
            found = compose(tree, answers, Composition(rule, m=m, beam=beam)).exp()
            assert torch.allclose(found, slowly(tree, answers, rule, m=m, beam=beam), atol=1e-10)


def test_a_flat_tree_answers_as_its_module():
    tree = flat(list("abcde"))
    answers = answers_of(tree)
    for rule in RULES:
        assert torch.allclose(compose(tree, answers, Composition(rule)), answers[0].double().log_softmax(1)), rule
