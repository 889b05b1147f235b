"""A patch against its controls: what is compared, and what makes it a success."""

from __future__ import annotations

import pytest
import torch

from src.artifacts.trial import BIAS, PATCHED, RANDOM, WEAK
from src.studies.patching.patch_findings import compared
from tests.studies.patching.findings import patch, target

LABELS = torch.tensor([0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2])


def test_methods_are_compared_on_every_target() -> None:
    weak = torch.zeros(12, dtype=torch.int64)
    biased = torch.tensor([0, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0, 0])
    patched = torch.tensor([0, 0, 0, 1, 1, 1, 1, 1, 2, 2, 0, 0])
    draws = torch.stack([weak, LABELS])
    predictions = {WEAK: weak, PATCHED: patched, BIAS: biased, RANDOM: draws}
    one, two = compared(predictions, LABELS, {1: "disc", 2: "ring"}, resamples=20, seed=0)
    assert (one.name, two.name) == ("disc", "ring")
    f1 = {method: estimates["f1"].value for method, estimates in one.against_weak.estimates.items()}
    assert f1 == pytest.approx({WEAK: 0, PATCHED: 8 / 9, BIAS: 2 / 3, RANDOM: 1 / 2})
    assert one.f1_gain.value == pytest.approx(8 / 9 - 2 / 3)
    # the other target's images are not among the others, whose one of four images is lost
    assert one.other_accuracy_gain.value == two.other_accuracy_gain.value == -0.25
    assert two.f1_gain.value == pytest.approx(2 / 3)


@pytest.mark.parametrize(
    ("gain_low", "lost", "helps"), [(0.1, 0.0, True), (0.1, 0.01, True), (0.1, 0.011, False), (0.0, 0.0, False)]
)
def test_a_patch_helps_that_surely_gains_and_loses_next_to_nothing(gain_low: float, lost: float, helps: bool) -> None:
    assert target("disc", gain_low, lost).helps is helps


def test_a_success_helps_all_targets() -> None:
    good, bad = target("disc", 0.1, 0.0), target("ring", -0.1, 0.0)
    assert patch([good, good]).succeeds and not patch([good, bad]).succeeds
