"""Whether networks know what they do not know: calibration, and how they tell images of unknown classes from others."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from src.core.errors import UserError
from src.core.estimate import Estimate
from src.statistics.bootstrap import Resampled, auc, bootstrap_weights, estimate
from src.statistics.calibration import ece, micro_auc, per_image, reliability

BINS = 15  # of reliability and of histograms
CHUNK = 200  # resamples at once: bounds the memory of many images


@dataclass(frozen=True)
class Histogram:
    """Shares of values in bins of equal width from 0 on, by the bins' middles."""

    middles: tuple[float, ...]
    shares: tuple[float, ...]


@dataclass(frozen=True)
class CalibrationScores:
    """Means over clean images; NaN where there is no such image.

    Attributes:
        nll: in nats, over the images whose class has a probability.
        infinite_nll: how many images' class has none.
        nll_clipped: in nats, at a probability of at least 1e-7.
        brier: from 0 to 2.
        entropy_right, entropy_wrong: in nats, over the images that are classified right, and wrong.
        auc: micro-averaged over classes.
    """

    accuracy: float
    confidence: float
    ece: float
    nll_clipped: float
    nll: float
    infinite_nll: int
    brier: float
    entropy: float
    entropy_right: float
    entropy_wrong: float
    auc: float


@dataclass(frozen=True)
class Calibration:
    """How far one network's probabilities can be believed.

    Attributes:
        reliability: the bins of confidence that hold an image (:func:`src.statistics.calibration.reliability`).
    """

    scores: CalibrationScores
    reliability: Sequence[Mapping[str, float]]
    confidence: Histogram
    entropy: Histogram


@dataclass(frozen=True)
class Detection:
    """How well one network tells known images from those of classes that it does not know.

    Attributes:
        known, unknown: how many images of each there are.
        auroc_confidence: how often a known image has the higher confidence of a known and an unknown one.
        auroc_entropy: how often it has the lower entropy.
        entropies_known, entropies_unknown: how their entropies are spread, in nats.
    """

    known: int
    unknown: int
    auroc_confidence: Estimate
    auroc_entropy: Estimate
    confidence_known: float
    confidence_unknown: float
    entropy_known: float
    entropy_unknown: float
    entropies_known: Histogram
    entropies_unknown: Histogram


def calibration(log_probabilities: Tensor, labels: Tensor) -> Calibration:
    """Of one network's answers.

    Args:
        log_probabilities: (n, N). labels: int64 (n,).
    """
    scores = per_image(log_probabilities, labels)
    nll, right = scores["nll"].double(), scores["correct"].bool()
    finite = nll.isfinite()
    means = CalibrationScores(
        accuracy=_mean(scores["correct"]),
        confidence=_mean(scores["confidence"]),
        ece=float(ece(scores["confidence"], scores["correct"], BINS)),
        nll=_mean(nll[finite]),
        infinite_nll=int((~finite).sum()),
        nll_clipped=_mean(scores["nll_clipped"]),
        brier=_mean(scores["brier"]),
        entropy=_mean(scores["entropy"]),
        entropy_right=_mean(scores["entropy"][right]),
        entropy_wrong=_mean(scores["entropy"][~right]),
        auc=float(micro_auc(log_probabilities.exp(), labels)),
    )
    bins = reliability(scores["confidence"], scores["correct"], BINS)
    greatest = math.log(log_probabilities.shape[1])
    return Calibration(means, bins, histogram(scores["confidence"], 1.0), histogram(scores["entropy"], greatest))


def detection(known: Tensor, unknown: Tensor, *, resamples: int, seed: int) -> Detection:
    """Of one network's answers.

    Args:
        known, unknown: log-probabilities (n, N) and (m, N) of images of its classes, and of none of them.
        resamples, seed: of the bootstrap over both sets of images.
    """
    inside, outside = _unlabelled(known), _unlabelled(unknown)
    greatest = math.log(known.shape[1])
    return Detection(
        known=len(known),
        unknown=len(unknown),
        auroc_confidence=detected(inside["confidence"], outside["confidence"], resamples, seed),
        auroc_entropy=detected(-inside["entropy"], -outside["entropy"], resamples, seed),
        confidence_known=_mean(inside["confidence"]),
        confidence_unknown=_mean(outside["confidence"]),
        entropy_known=_mean(inside["entropy"]),
        entropy_unknown=_mean(outside["entropy"]),
        entropies_known=histogram(inside["entropy"], greatest),
        entropies_unknown=histogram(outside["entropy"], greatest),
    )


def detected(known: Tensor, unknown: Tensor, resamples: int, seed: int) -> Estimate:
    """AUROC of scores (n,) against (m,), with an interval over both sets of images.

    From the ranks of the known images, each resample is two sums.
    """
    for name, scores in (("known", known), ("unknown", unknown)):
        if bool(scores.isnan().any()):
            raise UserError(f"scores of {name} images: {tuple(scores.shape)}; give one number for each of at least one")
    ordered = unknown.sort()
    left, right = (torch.searchsorted(ordered.values, known, right=side) for side in (False, True))
    weights_known = bootstrap_weights(len(known), resamples=resamples, seed=seed)
    weights_unknown = bootstrap_weights(len(unknown), resamples=resamples, seed=seed + 1)[:, ordered.indices]
    samples = []
    for weights, others in zip(weights_known.split(CHUNK), weights_unknown.split(CHUNK), strict=True):
        below = torch.cat([torch.zeros(len(others), 1), others.cumsum(1)], dim=1)
        samples.append(((below[:, left] + below[:, right]) * weights).sum(1).double() / (2 * len(known) * len(unknown)))
    both = torch.cat([known, unknown])
    area = float(auc(both.double(), torch.arange(len(both), device=both.device) < len(known)))
    return estimate(Resampled(area, torch.cat(samples)), n=len(both), unit="images")


def histogram(values: Tensor, greatest: float) -> Histogram:
    """Of ``values`` (n,) from 0 to ``greatest``, in 15 bins."""
    greatest = max(greatest, 1e-9)  # of a single class the entropy is 0
    counts = torch.histc(values.float().clamp(0, greatest), BINS, 0.0, greatest)
    middles = tuple((number + 0.5) * greatest / BINS for number in range(BINS))
    return Histogram(middles, tuple((counts / max(1, len(values))).tolist()))


def _unlabelled(log_probabilities: Tensor) -> dict[str, Tensor]:
    """The scores that need no label."""
    scores = per_image(log_probabilities, torch.zeros(len(log_probabilities), dtype=torch.int64))
    return {name: scores[name].double() for name in ("confidence", "entropy")}


def _mean(values: Tensor) -> float:
    return float(values.double().mean()) if len(values) else math.nan
