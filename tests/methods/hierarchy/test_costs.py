"""Stored and active cost, counted by hand."""

from __future__ import annotations

import pytest
from torch import nn

from src.methods.hierarchy.composed import ComposedNetwork
from src.methods.hierarchy.composition import Composition
from src.methods.hierarchy.costs import composition_cost
from src.methods.hierarchy.tree import flat, from_superclasses
from src.networks.cost import Cost, cost
from tests.methods.hierarchy.trees import THREE

PARTS = [Cost(10, 100), Cost(20, 200), Cost(30, 300), Cost(40, 400), Cost(50, 500)]


def test_all_classes_alike():
    found = composition_cost(THREE, PARTS)
    # 2 classes by the first expert, 3 and 2 by two modules more, 1 by the root alone
    assert found.stored_parameters == 150 and found.soft_macs == 1500
    assert found.hard_macs == pytest.approx((2 * 300 + 3 * 800 + 2 * 900 + 100) / 8)
    assert found.hard_parameters == pytest.approx(found.hard_macs / 10)


def test_a_trunk_counts_once():
    found = composition_cost(THREE, PARTS, trunk=Cost(1000, 10_000))
    bare = composition_cost(THREE, PARTS)
    assert found.stored_parameters == 1150 and found.soft_macs == 11_500
    assert found.hard_macs == pytest.approx(bare.hard_macs + 10_000)


def test_it_is_that_of_the_network():
    modules = [nn.Sequential(nn.Flatten(), nn.Linear(12, 7), nn.Linear(7, len(n.children))) for n in THREE.nodes]
    whole = cost(ComposedNetwork(THREE, modules, Composition("soft")), (3, 2, 2))
    found = composition_cost(THREE, [cost(module, (3, 2, 2)) for module in modules])
    assert (found.stored_parameters, found.soft_macs) == tuple(whole)


def test_the_thesis_networks():
    """Reference sections 3 to 5: a hard-gated pass has 4.71 M active parameters of 49.52 M, 129.7 M multiply-adds."""
    router, expert = Cost(2_353_172, 64_850_000), Cost(2_358_372, 64_850_000)
    classes = [f"{group} {number}" for group in range(20) for number in range(5)]
    tree = from_superclasses(classes, [name.split()[0] for name in classes])
    found = composition_cost(tree, [router] + [expert] * 20)
    assert found.stored_parameters == 49_520_612
    assert found.hard_parameters == 2_353_172 + 2_358_372
    assert found.hard_macs == 129_700_000


def test_a_monolith():
    assert composition_cost(flat("ab"), [Cost(3, 5)]) == (3, 3.0, 5.0, 5)
