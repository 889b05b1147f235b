"""Answers of made-up networks to clean and to corrupted images."""

from __future__ import annotations

import torch
from torch import Tensor

from src.studies.robustness.shifted import Shifted

CORRUPTIONS, SEVERITIES = ("gaussian_noise", "brightness"), (1, 5)
KINDS = ("confidence", "nll", "nll_clipped", "brier", "entropy", "top5")


def log_probabilities(count: int, classes: int = 3, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return (3 * torch.randn(count, classes, generator=generator)).double().log_softmax(1)


def some_shifted(seed: int = 0, count: int = 40) -> Shifted:
    """Two networks of which the second is right more often; scores that agree with each other."""
    generator = torch.Generator().manual_seed(seed)
    shape = (2, len(CORRUPTIONS), len(SEVERITIES), count)
    right = torch.rand(shape, generator=generator) < torch.tensor([0.4, 0.7]).view(2, 1, 1, 1)
    clean = torch.rand(2, count, generator=generator) < torch.tensor([0.6, 0.9]).view(2, 1)

    def scores(correct: Tensor) -> dict[str, Tensor]:
        return {"correct": correct.float(), **{kind: torch.rand(correct.shape, generator=generator) for kind in KINDS}}

    auc = torch.full(shape[:-1], 0.5, dtype=torch.float64)
    return Shifted(("small", "large"), CORRUPTIONS, SEVERITIES, scores(clean), scores(right), auc[:, 0, 0], auc)


def shifted_of(correct: Tensor, clean: Tensor) -> Shifted:
    """Networks "0", "1" ... that are as sure as they are right: every score but ``correct`` is 0.5.

    Args:
        correct: (M, C, S, n), 1 where right. clean: (M, n).
    """
    networks, corruptions, severities, _ = correct.shape
    auc = torch.full((networks, corruptions, severities), 0.5, dtype=torch.float64)

    def scores(hits: Tensor) -> dict[str, Tensor]:
        return {"correct": hits.float(), **{kind: torch.full(hits.shape, 0.5) for kind in KINDS}}

    names = tuple(str(number) for number in range(networks))
    return Shifted(names, CORRUPTIONS[:corruptions], SEVERITIES[:severities], scores(clean), scores(correct),
                   auc[:, 0, 0], auc)  # fmt: skip
