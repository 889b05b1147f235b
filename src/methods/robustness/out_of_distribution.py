"""Whether a score of a network's answers tells images of its own kind from others.

Hendrycks and Gimpel, "A baseline for detecting misclassified and out-of-distribution examples in neural networks",
ICLR 2017 (arXiv:1610.02136): the score (confidence, minus the entropy ...) is high for what the network knows, and is
judged over all thresholds, or at the one that lets most known images in.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from src.core.errors import UserError
from src.statistics.bootstrap import auc


def auroc(known: Tensor, unknown: Tensor) -> float:
    """Chance that a known image scores above an unknown one, ties counting half.

    Args:
        known: scores (n,). unknown: scores (m,).

    Raises:
        UserError: there are no scores of one kind, or not all are numbers.
    """
    _check(known, unknown)
    scores = torch.cat([known.double(), unknown.double()])
    return float(auc(scores, torch.arange(len(scores), device=scores.device) < len(known)))


def false_positive_rate(known: Tensor, unknown: Tensor, *, recall: float = 0.95) -> float:
    """Share of the unknown images that get in where the threshold lets in a share of the known ones.

    Args:
        known: scores (n,). unknown: scores (m,).
        recall: share of the known images, at least, that scores at or above the threshold.

    Raises:
        UserError: there are no scores of one kind, not all are numbers, or there is no such recall.
    """
    _check(known, unknown)
    if not 0 < recall <= 1:
        raise UserError(f"recall={recall}: give a share above 0, up to 1")
    threshold = known.double().sort(descending=True).values[math.ceil(recall * len(known)) - 1]
    return float((unknown.double() >= threshold).double().mean())


def _check(known: Tensor, unknown: Tensor) -> None:
    for name, scores in (("known", known), ("unknown", unknown)):
        if scores.dim() != 1 or not len(scores) or bool(scores.isnan().any()):
            raise UserError(f"scores of {name} images: {tuple(scores.shape)}; give one number for each of at least one")
