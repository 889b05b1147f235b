"""A module's calibrated score takes the weak model's column; the control tunes a bias exactly."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import f1_score

from src.core.errors import UserError
from src.methods.modularity.patching import Range, compose, fit_calibration, module_score, random_kernels, tuned_bias
from src.statistics.calibration import class_weights


def test_columns_are_replaced_and_the_rest_is_left_alone() -> None:
    weak = torch.tensor([[0.2, 0.5, 0.3], [0.1, 0.1, 0.8]])
    patched = compose(weak, {0: torch.tensor([0.9, -0.4]), 2: torch.tensor([0.1, 1.3])})
    assert torch.allclose(patched, torch.tensor([[0.9, 0.5, 0.1], [-0.4, 0.1, 1.3]], dtype=torch.float64))
    assert weak[0, 0] == 0.2, "the weak model's probabilities must not be written into"
    assert patched.argmax(dim=1).tolist() == [0, 2]


def test_the_papers_ranges() -> None:
    logits = torch.cat([torch.arange(101.0), torch.tensor([1e6, -1e6])])
    own = torch.arange(103) < 101
    assert fit_calibration("min_max", logits, own) == Range(0, 100)
    assert fit_calibration("percentile", logits, own) == Range(10, 90)
    assert fit_calibration("outlier", logits, own) == Range(25 - 75, 75 + 75)
    assert Range(10, 90)(torch.tensor([10.0, 50.0, 130.0])).tolist() == [0, 0.5, 1.5]  # not clipped
    assert Range(3, 3)(torch.tensor([3.0, 5.0])).tolist() == [0, 2]


def test_platt_is_a_probability() -> None:
    generator = torch.Generator().manual_seed(0)
    own = torch.rand(300, generator=generator) < 0.1
    logits = torch.randn(300, generator=generator) + 3 * own
    scores = fit_calibration("platt", logits, own)(logits)
    assert ((scores > 0) & (scores < 1)).all() and scores.mean().item() == pytest.approx(
        own.double().mean().item(), abs=0.02
    )
    assert fit_calibration("platt", logits, own, weight=class_weights(own.long(), 2))(logits).mean() > 2 * scores.mean()


def test_calibration_needs_the_right_images() -> None:
    logits = torch.randn(4)
    with pytest.raises(UserError, match="take images of that class"):
        fit_calibration("min_max", logits, torch.zeros(4).bool())
    with pytest.raises(UserError, match="take images of other classes too"):
        fit_calibration("platt", logits, torch.ones(4).bool())


def brute_force(logits: torch.Tensor, labels: torch.Tensor, target: int, weight: torch.Tensor | None = None) -> float:
    """The best F1 over a bias between every two breakpoints."""
    others = logits.clone()
    others[:, target] = -torch.inf
    points = (others.amax(dim=1) - logits[:, target]).round(decimals=8).unique()
    tried = torch.cat([points[:1] - 1, (points[:-1] + points[1:]) / 2, points[-1:] + 1])

    def judge(bias: float) -> float:
        moved = logits.clone()
        moved[:, target] += bias
        taken = moved.argmax(dim=1) == target
        return float(f1_score(labels == target, taken, sample_weight=weight, zero_division=0.0))

    return max(map(judge, tried.tolist()))


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 10_000), st.integers(5, 40), st.sampled_from([1, 4]))
def test_the_bias_is_the_best_there_is(seed: int, images: int, decimals: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(4, (images,), generator=generator)
    labels[:2] = torch.tensor([2, 1])
    logits = torch.randn(images, 4, generator=generator) + torch.nn.functional.one_hot(labels, 4)
    # An uneven shift keeps rounded logits of two classes from being equal, and rounds to many equal breakpoints.
    logits = logits.double().round(decimals=decimals)
    logits[:, 2] -= 0.7531
    bias = tuned_bias(logits, labels, 2)
    moved = logits.clone()
    moved[:, 2] += bias
    found = f1_score(labels == 2, moved.argmax(dim=1) == 2, zero_division=0.0)
    assert found == pytest.approx(brute_force(logits, labels, 2))


def test_of_equal_biases_the_smallest_wins() -> None:
    logits = torch.tensor([[2.0, 0.0], [0.0, 2.0]])
    assert tuned_bias(logits, torch.tensor([0, 1]), 1) == 0.0
    assert tuned_bias(logits - torch.tensor([0.0, 2.5]), torch.tensor([0, 1]), 1) == pytest.approx(
        2.5
    )  # from .5 to 4.5
    # Only targets: every image is to be taken, one beyond the last.
    assert tuned_bias(logits, torch.tensor([1, 1]), 1) == pytest.approx(3.0)


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 10_000), st.integers(5, 40), st.booleans())
def test_the_bias_is_the_best_for_weighted_images(seed: int, images: int, some_zero: bool) -> None:
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(3, (images,), generator=generator)
    labels[:2] = torch.tensor([2, 1])
    logits = (torch.randn(images, 3, generator=generator) + torch.nn.functional.one_hot(labels, 3)).double()
    weight = 0.1 + 5 * torch.rand(images, generator=generator).double()
    if some_zero:
        weight[2:] *= torch.rand(images - 2, generator=generator) < 0.5
    moved = logits.clone()
    moved[:, 2] += tuned_bias(logits, labels, 2, weight=weight)
    found = f1_score(labels == 2, moved.argmax(dim=1) == 2, sample_weight=weight, zero_division=0.0)
    assert found == pytest.approx(brute_force(logits, labels, 2, weight))


def test_weights_change_the_bias_and_equal_ones_do_not() -> None:
    # Biases above 1 find the second target at the price of two other images.
    logits = torch.tensor([[0.0, 1.0], [1.0, 0.0], [0.5, 0.0], [0.25, 0.0]])
    labels = torch.tensor([1, 1, 0, 0])
    assert tuned_bias(logits, labels, 1) == tuned_bias(logits, labels, 1, weight=torch.full((4,), 3.0))
    heavy_targets = tuned_bias(logits, labels, 1, weight=torch.tensor([1.0, 9.0, 1.0, 1.0]))
    heavy_others = tuned_bias(logits, labels, 1, weight=torch.tensor([9.0, 1.0, 9.0, 9.0]))
    assert heavy_targets > 1 and heavy_others == 0.0


def test_a_score_is_the_logit_or_its_log_odds() -> None:
    logits = torch.randn(20, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    assert torch.equal(module_score(logits, 2, "logit"), logits[:, 2])
    probability = logits.softmax(1)[:, 2]
    assert torch.allclose(module_score(logits, 2, "margin"), (probability / (1 - probability)).log())
    for column in (0, 4):
        assert torch.allclose(module_score(logits + 7, column, "margin"), module_score(logits, column, "margin"))


def counts(keep: torch.Tensor, group_index: torch.Tensor) -> list[int]:
    return torch.bincount(group_index[keep], minlength=int(group_index.max()) + 1).tolist()


@settings(deadline=None, max_examples=50)
@given(st.lists(st.tuples(st.integers(1, 12), st.floats(0, 1)), min_size=1, max_size=5), st.integers(0, 2**32))
def test_each_layer_keeps_as_many(layers: list[tuple[int, float]], seed: int):
    group_index = torch.repeat_interleave(torch.arange(len(layers)), torch.tensor([size for size, _ in layers]))
    keep = torch.cat([torch.arange(size) < round(share * size) for size, share in layers])
    drawn = random_kernels(keep, group_index, torch.Generator().manual_seed(seed))
    assert drawn.dtype == torch.bool and drawn.shape == keep.shape
    assert counts(drawn, group_index) == counts(keep, group_index)


def test_generators_differ_and_repeat():
    group_index = torch.repeat_interleave(torch.arange(3), 20)
    keep = (torch.arange(60) % 20) < 10
    first, same, other = (random_kernels(keep, group_index, torch.Generator().manual_seed(seed)) for seed in (0, 0, 1))
    assert torch.equal(first, same)
    assert not torch.equal(first, other) and not torch.equal(first, keep)
    generator = torch.Generator().manual_seed(0)
    again = [random_kernels(keep, group_index, generator) for _ in range(2)]
    assert not torch.equal(*again), "draws of one generator are independent"


def test_every_kernel_has_the_same_chance():
    group_index = torch.repeat_interleave(torch.arange(2), torch.tensor([4, 6]))
    keep = torch.tensor([1, 0, 0, 0, 1, 1, 1, 0, 0, 0]).bool()
    generator = torch.Generator().manual_seed(0)
    shares = torch.stack([random_kernels(keep, group_index, generator) for _ in range(2000)]).double().mean(0)
    expected = torch.tensor([0.25] * 4 + [0.5] * 6, dtype=torch.float64)
    assert (shares - expected).abs().max() < 0.05  # four standard deviations
