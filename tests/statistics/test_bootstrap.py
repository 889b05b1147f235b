"""Intervals cover what they should, and pairs share their resamples."""

import math

import pytest
import torch
from sklearn.metrics import roc_auc_score

from src.statistics.bootstrap import (
    Resampled,
    accuracies,
    auc,
    bootstrap_weights,
    estimate,
    holm,
    over_seeds,
    paired_difference,
)


def mean_of(values: torch.Tensor, weights: torch.Tensor) -> Resampled:
    return Resampled(values.double().mean().item(), (weights @ values.float()).double() / len(values))


def test_weights_are_draws_with_replacement() -> None:
    weights = bootstrap_weights(50, resamples=4000, seed=0)
    assert weights.shape == (4000, 50) and (weights.sum(dim=1) == 50).all()
    assert torch.allclose(weights.mean(dim=0), torch.ones(50), atol=0.08)
    assert weights.var().item() == pytest.approx(1 - 1 / 50, abs=0.03)
    assert torch.equal(weights, bootstrap_weights(50, resamples=4000, seed=0))
    assert not torch.equal(weights, bootstrap_weights(50, resamples=4000, seed=1))


def test_strata_keep_their_sizes() -> None:
    strata = torch.tensor([7, 2, 2, 7, 2, 9])
    weights = bootstrap_weights(6, resamples=500, seed=0, strata=strata)
    for value, size in ((2, 3), (7, 2), (9, 1)):
        assert (weights[:, strata == value].sum(dim=1) == size).all()
    assert (weights[:, strata == 2] == 0).any(dim=0).all(), "every image is left out sometimes"


def test_a_95_percent_interval_covers_the_truth_95_times_in_100() -> None:
    generator = torch.Generator().manual_seed(0)
    samples = torch.rand(400, 150, generator=generator) < 0.8
    weights = bootstrap_weights(150, resamples=600, seed=1)
    covered = sum(
        found.low <= 0.8 <= found.high
        for found in (estimate(mean_of(row, weights), n=150, unit="images") for row in samples)
    )
    assert 0.91 <= covered / len(samples) <= 0.985


def test_pairs_cancel_what_they_share() -> None:
    generator = torch.Generator().manual_seed(0)
    first = torch.randn(300, generator=generator)
    second = first - 0.1 + 0.01 * torch.randn(300, generator=generator)
    weights = bootstrap_weights(300, resamples=1000, seed=0)
    pair = paired_difference(mean_of(first, weights), mean_of(second, weights))
    found = estimate(pair, n=300, unit="images")
    assert found.value == pytest.approx(0.1, abs=0.005) and 0.09 < found.low < found.high < 0.11
    assert (found.n, found.unit) == (300, "images")
    alone = estimate(mean_of(first, weights))
    assert alone.high - alone.low > 20 * (found.high - found.low)


def test_undefined_resamples_are_left_out() -> None:
    samples = torch.cat([torch.full((50,), math.nan), torch.linspace(0, 1, 101)])
    found = estimate(Resampled(0.5, samples), level=0.9)
    assert (found.low, found.high) == pytest.approx((0.05, 0.95))
    assert math.isnan(estimate(Resampled(math.nan, torch.full((5,), math.nan))).low)


def test_seeds_add_their_own_variation() -> None:
    generator = torch.Generator().manual_seed(0)
    weights = bootstrap_weights(200, resamples=3000, seed=0)
    runs = [
        mean_of(shift + 0.2 * torch.randn(200, generator=generator), weights)
        for shift in torch.tensor([0.0, 0.5, 1.0, 1.5])
    ]
    together = over_seeds(runs, seed=0)
    assert together.value == pytest.approx(sum(run.value for run in runs) / 4)
    values = torch.tensor([run.value for run in runs])
    within = sum(run.samples.var().item() for run in runs) / 16
    between = values.var(correction=0).item() / 4
    assert together.samples.var().item() == pytest.approx(within + between, rel=0.15)
    pair = paired_difference(over_seeds(runs, seed=5), over_seeds(runs, seed=5))
    assert pair.samples.abs().max() == 0


@pytest.mark.parametrize("decimals", [1, 6])
def test_auc_equals_sklearn(decimals: int) -> None:
    generator = torch.Generator().manual_seed(0)
    positive = torch.rand(120, generator=generator) < 0.3
    scores = (torch.randn(2, 3, 120, generator=generator) + positive).round(decimals=decimals)
    found = auc(scores, positive)
    expected = [[roc_auc_score(positive, row) for row in rows] for rows in scores]
    assert torch.allclose(found, torch.tensor(expected, dtype=torch.float64))
    assert auc(scores, torch.zeros(120).bool()).isnan().all()


def test_holm_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.02, 0.02, 0.9]) == pytest.approx([0.06, 0.06, 0.9])
    assert holm([0.5, 0.6]) == [1.0, 1.0]
    found = holm([math.nan, 0.03, math.nan, 0.02])
    assert found[1::2] == pytest.approx([0.04, 0.04]) and math.isnan(found[0]) and math.isnan(found[2])
    assert holm([]) == []


def predictions(n: int = 400) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
    """``good`` is right where ``fair`` is, and on 40 images more."""
    labels = torch.arange(n) % 4
    wrong = (labels + 1) % 4
    fair = torch.where(torch.arange(n) % 5 < 3, labels, wrong)
    good = fair.clone()
    good[torch.arange(n) % 10 == 4] = labels[torch.arange(n) % 10 == 4]
    return {"fair": fair, "good": good}, labels


def test_values_are_the_plain_accuracies():
    methods, labels = predictions()
    own, against = accuracies(methods, labels, "fair", resamples=500, seed=0)
    assert own["fair"].value == pytest.approx(0.6) and own["good"].value == pytest.approx(0.7)
    assert against["good"].value == pytest.approx(0.1)
    assert all((estimate.n, estimate.unit) == (400, "images") for estimate in [*own.values(), *against.values()])


def test_intervals_have_the_width_of_the_binomial():
    methods, labels = predictions()
    own, _ = accuracies(methods, labels, "fair", resamples=4000, seed=0)
    half = 1.96 * (0.6 * 0.4 / 400) ** 0.5
    assert (own["fair"].low, own["fair"].high) == pytest.approx((0.6 - half, 0.6 + half), abs=0.01)


def test_differences_are_paired():
    methods, labels = predictions()
    own, against = accuracies(methods, labels, "fair", resamples=4000, seed=0)
    assert against["fair"] == (0.0, 0.0, 0.0, 400, "images")
    # they differ on 40 of 400 images alone, so the interval is far narrower than that of either
    half = 1.96 * (0.1 * 0.9 / 400) ** 0.5
    assert (against["good"].low, against["good"].high) == pytest.approx((0.1 - half, 0.1 + half), abs=0.01)
    assert own["good"].high - own["good"].low > 1.3 * (against["good"].high - against["good"].low)


def test_the_seed_decides():
    methods, labels = predictions()
    first, same, other = (accuracies(methods, labels, "fair", resamples=200, seed=seed) for seed in (0, 0, 1))
    assert first == same != other


def test_the_reference_has_to_be_among_the_methods():
    methods, labels = predictions()
    with pytest.raises(KeyError, match="weak"):
        accuracies(methods, labels, "weak", resamples=10, seed=0)
