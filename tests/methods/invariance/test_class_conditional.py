"""Classes that do and do not differ in their invariance."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from src.core.errors import UserError
from src.methods.invariance.class_conditional import class_conditional
from src.methods.invariance.passes import Examination, Setup
from src.methods.invariance.variance import LayerVariance, variances
from tests.methods.invariance.sets import Rotations, network


def figures(count: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Rings about the middle (class 0), and bars to the right (1) or in a corner (2), of any colours: 8x8."""
    generator = torch.Generator().manual_seed(seed)
    rows, columns = torch.meshgrid(torch.arange(8) - 3.5, torch.arange(8) - 3.5, indexing="ij")
    labels = torch.arange(count) % 3
    radius = 1 + 2.5 * torch.rand(count, generator=generator)[:, None, None]
    ring = ((rows**2 + columns**2).sqrt() - radius).abs() < 1
    bar = (columns - radius).abs() < 1
    corner = (columns > radius - 2) & (rows > radius - 2)
    masks = torch.where((labels == 0)[:, None, None], ring, torch.where((labels == 1)[:, None, None], bar, corner))
    colours = 50 + 200 * torch.rand(count, 3, 1, 1, generator=generator)
    return (masks[:, None] * colours).to(torch.uint8), labels


def last_layer(images: Tensor, labels: Tensor) -> LayerVariance:
    setup = Setup(layers=("Linear",))
    return variances(Examination(network(), images, Rotations(), setup=setup), labels).layers[-1]


def test_a_symmetric_class_is_found() -> None:
    images, labels = figures(60)
    found = class_conditional(last_layer(images, labels).kept, labels, permutations=199)
    assert found.classes == (0, 1, 2) and float(found.by_class[0]) < 1e-4 < 0.3 < float(found.by_class[1:].min())
    assert found.p == 1 / 200 and found.class_p[0] == pytest.approx(3 / 200)
    assert found.apart[0] < 0 < found.apart[1]


def test_the_statistic_is_that_of_the_measure() -> None:
    images, labels = figures(30)
    layer = last_layer(images, labels + 4)
    assert layer.class_units is not None
    by_class = layer.class_units.mean(1)
    found = class_conditional(layer.kept, labels + 4, permutations=9)
    assert found.classes == (4, 5, 6)
    assert found.spread == pytest.approx(float(layer.class_units.var(0).mean()), rel=1e-4)
    torch.testing.assert_close(found.by_class, by_class, atol=1e-5, rtol=1e-5)
    rest = torch.stack([by_class[[other for other in range(3) if other != k]].mean() for k in range(3)])
    torch.testing.assert_close(found.apart, by_class - rest, atol=1e-5, rtol=1e-5)


def test_classes_at_random_have_any_p() -> None:
    images, _ = figures(60)
    kept = last_layer(images, torch.arange(60) % 2).kept
    overall, classes = [], []
    for seed in range(40):
        labels = torch.randint(3, (60,), generator=torch.Generator().manual_seed(seed))
        found = class_conditional(kept, labels, permutations=99, seed=seed)
        overall.append(found.p)
        classes.append(min(found.class_p))
    chances = torch.tensor(overall).sort().values
    # Kolmogorov and Smirnov's distance to a uniform distribution is above 0.21 of 40 in one case of twenty
    steps = torch.arange(41) / 40
    assert float(torch.maximum(chances - steps[:-1], steps[1:] - chances).max()) < 0.21
    assert sum(p <= 0.05 for p in classes) <= 5


def test_classes_that_only_lie_apart_are_alike() -> None:
    """Plain permutations would find that they differ, which is not the question."""
    alike = list[float]()
    for seed in range(20):
        generator = torch.Generator().manual_seed(seed)
        labels = torch.arange(60) % 3
        activations = torch.randn(60, 1, 6, generator=generator) + 0.5 * torch.randn(60, 5, 6, generator=generator)
        activations += 8 * torch.randn(3, 1, 6, generator=generator)[labels]
        alike.append(class_conditional(activations, labels, permutations=99, seed=seed).p)
    assert sum(p <= 0.05 for p in alike) <= 3


def test_the_same_seed_gives_the_same() -> None:
    images, labels = figures(30)
    kept = last_layer(images, labels).kept
    one, two = (class_conditional(kept, labels, permutations=50, seed=2) for _ in range(2))
    assert (one.p, one.class_p) == (two.p, two.class_p)


def test_a_class_without_a_ratio_is_left_out() -> None:
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(30) % 3
    activations = torch.randn(30, 4, 5, generator=generator)
    activations[labels == 1] = 0.5
    found = class_conditional(activations, labels, permutations=19)
    assert found.by_class[1].isnan() and found.class_p[1] != found.class_p[1] and 0 < found.p <= 1
    assert float(found.apart[0]) == pytest.approx(float(found.by_class[0] - found.by_class[2]))
    nothing = class_conditional(torch.ones(30, 4, 5), labels, permutations=19)
    assert nothing.p != nothing.p


def test_bad_input() -> None:
    activations = torch.rand(6, 3, 2)
    with pytest.raises(UserError, match="labels: a single class"):
        class_conditional(activations, torch.zeros(6, dtype=torch.int64))
    with pytest.raises(UserError, match="labels: class 7 has a single image"):
        class_conditional(activations, torch.tensor([0, 0, 7, 0, 1, 1]))
