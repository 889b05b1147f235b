"""Answers to several crops of the same images."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from torch import Tensor


def per_crop(of: Callable[[list[Tensor]], Tensor], answers: Sequence[Tensor]) -> Tensor:
    """The mean probabilities (n, N), as logarithms, of what ``of`` makes of every crop's answers (n * T, children)."""
    images, crops = answers[0].shape[:2]
    found = of([answer.flatten(0, 1) for answer in answers])
    return found.view(images, crops, -1).logsumexp(1) - math.log(crops)


def averaged(answers: Sequence[Tensor]) -> list[Tensor]:
    """Per node the logarithm of the mean probabilities over crops, (n, children); answers without crops as they are."""
    if answers[0].dim() == 2:
        return list(answers)
    return [answer.double().log_softmax(2).logsumexp(1) - math.log(answer.shape[1]) for answer in answers]
