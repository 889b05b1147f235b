"""Accuracies with intervals, compared on the same images."""

import pytest
import torch

from src.studies.composition.estimates import accuracies


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
