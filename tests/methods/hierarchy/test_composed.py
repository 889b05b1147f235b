"""The network of modules: the same answer as all modules' answers composed, from fewer passes."""

from __future__ import annotations

import math
from collections import Counter

import pytest
import torch
from torch import Tensor, nn

from src.methods.hierarchy.composed import ComposedNetwork
from src.methods.hierarchy.composition import GATED, RULES, Composition, compose
from src.methods.hierarchy.nodes import Tree
from src.methods.hierarchy.views import Views
from tests.methods.hierarchy.trees import MIXED, THREE, TREES, TWO

SIDE = 6
CROPS = Views(4, "ten")


class Counted(nn.Module):
    """A linear module that keeps how many images it was given."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.linear = nn.Linear(inputs, outputs)
        self.images: list[int] = []

    def forward(self, images: Tensor) -> Tensor:
        self.images.append(len(images))
        return 4 * self.linear(images.flatten(1))


def network(tree: Tree, composition: Composition, views: Views | None = None, **parts: object) -> ComposedNetwork:
    torch.manual_seed(0)
    side = SIDE if views is None else views.size
    modules = [Counted(2 * side * side, len(node.children)) for node in tree.nodes]
    return ComposedNetwork(tree, modules, composition, views=views, **parts).eval()


def pictures(count: int = 30) -> Tensor:
    return torch.randn(count, 2, SIDE, SIDE, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("tree", TREES.values(), ids=TREES)
@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("route", ["image", "crop"])
@pytest.mark.parametrize("views", [None, CROPS], ids=["whole", "crops"])
def test_it_answers_as_all_modules_composed(tree: Tree, rule: str, route: str, views: Views | None):
    one = network(tree, Composition(rule, m=1, beam=1, route=route), views)
    with torch.no_grad():
        answers = one.answers(pictures())
        found = one(pictures())
    assert found.shape == (30, len(tree.classes)) and found.dtype == torch.float64
    expected = compose(tree, answers, one.composition)
    assert torch.allclose(found.exp(), expected.exp(), atol=1e-6)
    assert torch.equal(found.isinf(), expected.isinf())
    shape = (30, 10, len(tree.nodes[0].children)) if views and route == "crop" else (30, len(tree.nodes[0].children))
    assert answers[0].shape == shape


@pytest.mark.parametrize("rule", GATED)
def test_modules_see_the_images_alone_that_reach_them(rule: str):
    one = network(THREE, Composition(rule, m=1, beam=1))
    with torch.no_grad():
        one(pictures())
    seen = [sum(part.images) for part in one.parts]
    assert seen[0] == 30
    if rule == "beam":
        assert seen[1] + seen[2] == 30  # one inner node of each level; a class beside them costs nothing
    else:
        straight = one.answers(pictures())[0].argmax(1)
        assert seen[1:3] == [int((straight == child).sum()) for child in (0, 1)] and min(seen) > 0
        assert seen[3] + seen[4] == seen[2]


def test_crops_reach_a_module_one_by_one():
    one = network(TWO, Composition("hard", route="crop"), CROPS)
    with torch.no_grad():
        ways = one.answers(pictures())[0].argmax(2)  # (n, T)
        before = [sum(part.images) for part in one.parts]
        one(pictures())
    given = [sum(part.images) - known for part, known in zip(one.parts, before, strict=True)]
    assert given[1:3] == [int((ways == child).sum()) for child in (0, 1)] and given[0] == ways.numel()


def test_views_are_averaged_as_probabilities():
    one = network(TWO, Composition("soft"), CROPS)
    with torch.no_grad():
        crops = CROPS(pictures()).view(10, 30, 2, 4, 4)
        for node, answer in enumerate(one.answers(pictures())):
            expected = torch.stack([one.parts[node](crop).softmax(1) for crop in crops]).mean(0)
            assert torch.allclose(answer.exp(), expected.double(), atol=1e-6)


@pytest.mark.parametrize("rule", ["soft", "hard"])
def test_a_trunk_runs_once_and_what_comes_first_comes_first(rule: str):
    order: list[str] = []

    class Said(nn.Module):
        def __init__(self, name: str, scale: float) -> None:
            super().__init__()
            self.name, self.scale = name, scale

        def forward(self, images: Tensor) -> Tensor:
            order.append(f"{self.name} {tuple(images.shape)}")
            return images * self.scale

    plain = network(TWO, Composition(rule), CROPS)
    both = network(TWO, Composition(rule), CROPS, trunk=Said("trunk", 0.5), preparation=Said("first", 2.0))
    with torch.no_grad():
        assert torch.equal(both(pictures()), plain(pictures()))
    assert order == ["first (30, 2, 6, 6)", "trunk (300, 2, 4, 4)"]


def test_columns_of_modules_that_answer_for_a_level():
    torch.manual_seed(0)
    wide = [Counted(2 * SIDE * SIDE, 2), Counted(2 * SIDE * SIDE, 5), Counted(2 * SIDE * SIDE, 5)]
    one = ComposedNetwork(TWO, wide, Composition("soft"), columns=[[1, 0], [0, 2, 4], [1, 3]])
    with torch.no_grad():
        answers, images = one.answers(pictures()), pictures()
        assert torch.equal(answers[0], wide[0](images)[:, [1, 0]])
        assert torch.equal(answers[2], wide[2](images)[:, [1, 3]])
        assert torch.allclose(one(images).exp().sum(1), torch.ones(30, dtype=torch.float64))


@pytest.mark.parametrize("rule", RULES)
def test_no_image_and_one_image(rule: str):
    one = network(MIXED, Composition(rule), CROPS)
    with torch.no_grad():
        assert one(pictures()[:0]).shape == (0, 8)
        assert torch.allclose(one(pictures()[:1]).exp(), one(pictures())[:1].exp(), atol=1e-6)


def test_gradients_reach_every_module():
    for rule in RULES:
        one = network(THREE, Composition(rule))
        values = one(pictures())
        values[values.isfinite()].sum().backward()
        missing = Counter(part.linear.weight.grad is None for part in one.parts)
        assert rule == "hard" or not missing[True], rule


def test_parts_must_fit_the_tree():
    with pytest.raises(ValueError, match="modules: 2 for a tree of 3 nodes"):
        ComposedNetwork(TWO, [nn.Identity()] * 2, Composition())
    with pytest.raises(ValueError, match="columns: not as many"):
        ComposedNetwork(TWO, [nn.Identity()] * 3, Composition(), columns=[[0, 1], [0], [0, 1]])


def test_of_a_route_per_crop_the_probabilities_are_averaged():
    one = network(TWO, Composition("hard", route="crop"), CROPS)
    with torch.no_grad():
        crops = CROPS(pictures()).view(10, 30, 2, 4, 4)
        single = ComposedNetwork(TWO, list(one.parts), Composition("hard"))
        expected = torch.stack([single(crop) for crop in crops]).logsumexp(0) - math.log(10)
        assert torch.allclose(one(pictures()).exp(), expected.exp(), atol=1e-6)
