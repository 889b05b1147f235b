"""What images say about the probabilities that a network gives (Ovadia et al. 2019, 1906.02530), and whether it is as
often right as it says."""

import math

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from src.statistics.bootstrap import auc

CLIP = 1e-7  # least probability that the clipped NLL sees, as in Keras: 16.118 nats at most
TOP = 5
BINS = 15


def per_image(log_probabilities: Tensor, labels: Tensor) -> dict[str, Tensor]:
    """Scores of n images, on their device.

    Args:
        log_probabilities: (n, N), -inf where a class has no probability. labels: int64 (n,).

    Returns:
        ``correct`` bool (n,): the likeliest class, the first one of several, is the right one.
        ``top5`` bool (n,): the right class has a probability, and fewer than 5 classes come before it.
        The others float64 (n,): ``confidence``, the highest probability; ``nll`` -ln p(true) in nats, may be infinite;
        ``nll_clipped`` with p at least 1e-7; ``brier`` sum_y (p(y) - [y true])^2, from 0 to 2; ``entropy`` in nats.
    """
    logs = log_probabilities.double()
    p = logs.exp()
    true = logs.gather(1, labels[:, None])  # (n, 1)
    earlier = torch.arange(logs.shape[1], device=logs.device) < labels[:, None]
    before = ((logs > true) | ((logs == true) & earlier)).sum(1)
    nll = -true[:, 0]
    return {
        "correct": before == 0,
        "top5": (before < TOP) & nll.isfinite(),
        "confidence": p.amax(1),
        "nll": nll,
        "nll_clipped": nll.clamp(max=-math.log(CLIP)),
        "brier": p.square().sum(1) - 2 * true[:, 0].exp() + 1,
        "entropy": torch.special.entr(p).sum(1),
    }


def reliability(confidence: Tensor, correct: Tensor, bins: int = BINS) -> list[dict[str, float]]:
    """The bins of equal width that hold an image, from unsure to sure.

    Args:
        confidence: (n,) of the predicted class, 0 to 1. correct: (n,), bool or 0 and 1.

    Returns:
        ``bin`` (its number), the mean ``confidence`` and ``accuracy`` of its images, and their ``share`` of all.
    """
    counts, sums, hits = _sums(confidence, correct, bins)
    filled = counts.nonzero()[:, 0]
    columns = (filled, sums[filled] / counts[filled], hits[filled] / counts[filled], counts[filled] / counts.sum())
    return [
        {"bin": number, "confidence": sure, "accuracy": right, "share": share}
        for number, sure, right, share in zip(*(column.tolist() for column in columns), strict=True)
    ]


def ece(confidence: Tensor, correct: Tensor, bins: int = BINS) -> float:
    """Expected calibration error: the mean distance of confidence and accuracy over bins (Guo et al. 2017, 1706.04599).

    Args and bins as for :func:`reliability`: a bin holds its upper bound and not its lower one. NaN without images.
    """
    counts, sums, hits = _sums(confidence, correct, bins)
    return float((sums - hits).abs().sum() / counts.sum())


def micro_auc(scores: Tensor, labels: Tensor) -> float:
    """Chance that a (image, class) pair that is true scores above one that is not, ties counting half.

    All n x N pairs are thrown together, as in Keras' AUC over one-hot labels, but exactly and not by 200 thresholds.

    Args:
        scores: (n, N), probabilities or anything in their order. labels: int64 (n,).
    """
    return float(auc(scores.flatten(), one_hot(labels, scores.shape[1]).bool().flatten()))


def _sums(confidence: Tensor, correct: Tensor, bins: int) -> tuple[Tensor, Tensor, Tensor]:
    """Per bin float64 (bins,): number of images, sum of confidences, number of right ones."""
    sure = confidence.double()
    bounds = torch.arange(1, bins, dtype=torch.float64, device=sure.device) / bins
    # a bound is rounded in the confidences' own type, upwards maybe: it belongs to the bin that it ends all the same
    place = torch.bucketize(sure, bounds * (1 + torch.finfo(confidence.dtype).eps))
    counts, sums, hits = torch.zeros(3, bins, dtype=torch.float64, device=sure.device)
    return (
        counts.index_add(0, place, torch.ones_like(sure)),
        sums.index_add(0, place, sure),
        hits.index_add(0, place, correct.double()),
    )
