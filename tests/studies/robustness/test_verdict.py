"""What the study comes to, in words."""

from __future__ import annotations

import pytest
import torch

from src.core.estimate import Estimate
from src.studies.robustness.calibration import calibration, detection
from src.studies.robustness.corruption import robustness
from src.studies.robustness.study import NETWORK, Findings, verdict
from tests.studies.robustness.answers import log_probabilities, shifted_of

#: of 40 images a network gets 36 right as they are
CLEAN = (torch.arange(40) < 36)[None]


def sentence(first: int, second: int, auroc: Estimate) -> str:
    """Of a network that gets so many images right under two corruptions of different kinds (severity 1)."""
    hits = torch.stack([torch.arange(40) < count for count in (first, second)]).view(1, 2, 1, 40)
    shifted = shifted_of(hits, CLEAN)
    found = robustness(shifted, None, resamples=200, seed=0)
    known = log_probabilities(40)
    told = detection(known, known[:7], resamples=20, seed=0)
    return verdict(
        Findings(
            {NETWORK: calibration(known, torch.arange(40) % 3)},
            type(found)(found.images, found.corruptions, found.severities, None, {NETWORK: found.networks["0"]}),
            None,
            type(told)(**{**vars(told), "auroc_confidence": auroc}),
            "digits",
            3,
        )
    ).sentence


def test_what_is_lost_and_where_most() -> None:
    said = sentence(30, 4, Estimate(0.95, 0.9, 0.99))
    assert said.startswith("Damage costs 47.5 points: 90.0% of the clean and 42.5% [")
    assert "of their groups " in said and " costs most (80.0), " in said and " least (15.0)." in said
    # every network of these answers is half sure
    assert "On damaged images it is too sure: its mean confidence is 50.0%" in said
    assert said.endswith("Images of unknown classes are well told apart (AUROC 95.0%, 50% is guessing).")


@pytest.mark.parametrize(
    ("auroc", "words"),
    [
        (Estimate(0.55, 0.45, 0.65), "are not told apart by its confidence"),
        (Estimate(0.3, 0.2, 0.4), "are not told apart: it is surer of them than of known ones"),
        (Estimate(0.6, 0.55, 0.65), "are weakly told apart"),
        (Estimate(0.8, 0.7, 0.9), "are partly told apart"),
    ],
)
def test_whether_unknown_images_are_told_apart(auroc: Estimate, words: str) -> None:
    assert f"Images of unknown classes {words} (AUROC" in sentence(30, 4, auroc)


def test_no_loss_is_not_called_one_and_doubt_is_said() -> None:
    said = sentence(36, 36, Estimate(0.5, 0.4, 0.6))
    assert said.startswith("Damage costs nothing that 40 images show: 90.0% of the clean and 90.0%")
    assert "On damaged images it is not sure enough" in said
