"""The augmented against the plain network, with numbers by hand."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch

from src.core.estimate import Estimate
from src.imageops.transformations import transformation_set
from src.statistics.bootstrap import Resampled, estimate
from src.studies.invariance.comparison import comparison, verdict
from src.studies.invariance.findings import (
    AUGMENTED,
    EQUIVARIANCE,
    PLAIN,
    UNTRAINED,
    Findings,
    Network,
    Role,
    Variability,
    Way,
)
from tests.studies.invariance.given import TURNS, options

WAYS: tuple[Way, ...] = ("sum", EQUIVARIANCE)


def spread(mean: float, rise: float) -> Variability:
    """Resamples of both lie an eighth below and above them."""
    apart = torch.tensor([-0.125, 0.125], dtype=torch.float64)
    means, rises = Resampled(mean, mean + apart), Resampled(rise, rise + apart)
    told = [estimate(each, n=10, unit="images") for each in (means, rises)]
    return Variability(1, 0, 0, mean, mean, mean, told[0], means, told[1], rises, told[1])


def network(role: Role, mean: float, rise: float, *, aside: bool = False) -> Network:
    share = Estimate(mean / 10, n=10, unit="images")
    return Network(role, aside, share, share, None, {way: spread(mean, rise) for way in WAYS})


def findings(*networks: Network) -> Findings:
    return Findings(
        options(same_equivariance=True), transformation_set(TURNS), ("a", "b"), 10, (0, 1), (), networks, None, None, ()
    )


def compared(*networks: Network, accuracy: tuple[float, float] = (0.7, 0.71)) -> Findings:
    plain = findings(*networks)
    shares: Any = dict(zip((PLAIN, AUGMENTED), accuracy, strict=True))
    return replace(plain, comparison=comparison(plain, shares))


def test_differences_are_paired_and_of_the_networks_that_are_compared() -> None:
    whole = compared(
        network(PLAIN, 3.0, 0.5),
        network(AUGMENTED, 2.0, 0.25),
        network(UNTRAINED, 4.0, 0.125),
        network(PLAIN, 9.0, 1.5, aside=True),
    )
    found = whole.comparison
    assert found is not None and found.complete is whole.networks[3], "lower layers: the network at its end"
    assert found.difference["sum"] == Estimate(-1.0, -1.0, -1.0, 10, "images"), "the same resamples"
    assert found.learned["sum"][:3] == pytest.approx((1.375, 1.375, 1.375))
    assert found.gap == pytest.approx(0.01)


def test_the_metrics_and_the_sentence() -> None:
    told = verdict(compared(network(PLAIN, 3.0, 0.5), network(AUGMENTED, 2.0, 0.25), network(UNTRAINED, 4.0, 0.125)))
    assert list(told.metrics) == [
        "nv_sum_difference", "nv_same_equivariance_difference", "nv_sum_plain", "nv_sum_augmented", "lower_layers_sum",
        "lower_layers_sum_learned", "nv_same_equivariance_plain", "nv_same_equivariance_augmented",
        "plain_accuracy", "plain_transformed_accuracy", "augmented_accuracy", "augmented_transformed_accuracy",
    ], "what decides comes first"  # fmt: skip
    values = {name: each.value for name, each in told.metrics.items()}
    assert values["nv_sum_plain"] == 3.0 and values["nv_sum_augmented"] == 2.0 and values["plain_accuracy"] == 0.3
    assert values["lower_layers_sum"] == 0.5 and values["lower_layers_sum_learned"] == pytest.approx(0.375)
    assert told.units["plain_accuracy"] == told.units["augmented_transformed_accuracy"] == "%"
    assert told.row["accuracy_gap"] == pytest.approx(0.01)
    assert told.sentence.startswith(
        "Trained on images changed by right-angle turns, the network's layers vary less under it: NV sum falls from "
        "3.00 to 2.00 (-1.00 [-1.00, -1.00]), "
    )
    assert told.sentence.endswith(
        "of the validation images as they are, this network classifies 71.0% right and the plain one 70.0%, which "
        "counts as equal accuracy"
    )


def test_an_untrained_network_that_varies_least_has_no_merit() -> None:
    ending = verdict(compared(network(PLAIN, 3.0, 0.5), network(AUGMENTED, 2.0, 0.25), network(UNTRAINED, 1.0, 0.125)))
    assert "; the untrained network varies least (NV sum 1.00, NV same equivariance 1.00), which is no merit" in (
        ending.sentence
    )


def test_without_an_untrained_network_nothing_is_learned_beyond_it() -> None:
    whole = compared(network(PLAIN, 3.0, 0.5), network(AUGMENTED, 2.0, 0.25), accuracy=(0.9, 0.7))
    assert whole.comparison is not None and not whole.comparison.learned
    told = verdict(whole)
    assert "lower_layers_sum_learned" not in told.metrics and "equal accuracy" not in told.sentence
