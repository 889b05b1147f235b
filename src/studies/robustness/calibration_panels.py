"""Whether networks know what they do not know: reliability, confidence, entropy, images of unknown classes."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from src.core.estimate import Estimate
from src.core.result import Figure, Result, table_of
from src.methods.robustness.out_of_distribution import auroc
from src.statistics.bootstrap import Resampled, bootstrap_weights, estimate
from src.statistics.calibration import ece, micro_auc, per_image, reliability

SECTION, UNKNOWN = "Calibration", "Unknown classes"
BINS = 15  # of reliability and of histograms
CHUNK = 200  # resamples at once: bounds the memory of many images


def add_calibration(result: Result, answers: Mapping[str, Tensor], labels: Tensor) -> None:
    """Tables ``calibration``, ``reliability``, two histograms and their figures, in section Calibration.

    Args:
        answers: log-probabilities (n, N) of the same images by network.
        labels: int64 (n,).
    """
    records, bins, shares = [], [], []
    for name, found in answers.items():
        scores = per_image(found, labels)
        nll = scores["nll"].double()
        finite = nll.isfinite()
        right = scores["correct"].bool()
        records.append(
            {
                "network": name,
                "accuracy": _mean(scores["correct"]),
                "confidence": _mean(scores["confidence"]),
                "ece": float(ece(scores["confidence"], scores["correct"], BINS)),
                "nll": _mean(nll[finite]),
                "infinite_nll": int((~finite).sum()),
                "nll_clipped": _mean(scores["nll_clipped"]),
                "brier": _mean(scores["brier"]),
                "entropy": _mean(scores["entropy"]),
                "entropy_right": _mean(scores["entropy"][right]),
                "entropy_wrong": _mean(scores["entropy"][~right]),
                "auc": float(micro_auc(found.exp(), labels)),
            }
        )
        bins += [{"network": name, **row} for row in _reliability(scores["confidence"], scores["correct"])]
        shares += _histograms(name, scores, found.shape[1])
    result.tables["calibration"], result.tables["reliability"] = table_of(records), table_of(bins)
    for kind in ("confidence", "entropy"):
        own = [{key: row[key] for key in ("network", kind, "share")} for row in shares if kind in row]
        result.tables[f"{kind}_histogram"] = table_of(own)
    result.captions |= {
        "calibration": "Clean test images. ECE of 15 bins. NLL is the mean over images whose class has a probability; "
        "those without one are counted. Brier from 0 to 2. AUC: micro-averaged over classes.",
        "reliability": "Images sorted into bins of equal width by confidence: mean confidence and accuracy of each.",
    }
    result.sections |= dict.fromkeys(
        ("calibration", "reliability", "confidence_histogram", "entropy_histogram"), SECTION
    )
    result.units |= dict.fromkeys(("accuracy", "confidence", "ece", "auc", "share"), "%")
    result.units |= dict.fromkeys(("nll", "nll_clipped", "entropy", "entropy_right", "entropy_wrong"), "nats")
    result.figures += [
        Figure("lines", "reliability", "Reliability", "Accuracy of the images of each confidence; dashed: a network "
               "that is as often right as it says. Below it, it is too sure.", x="confidence", y="accuracy",
               group="network", percent=True, diagonal=True, section=SECTION),
        Figure("lines", "confidence_histogram", "Confidence", "Share of the images by the highest probability.",
               x="confidence", y="share", group="network", percent=True, section=SECTION),
        Figure("lines", "entropy_histogram", "Entropy", "Share of the images by the entropy of the answer.",
               x="entropy", y="share", group="network", percent=True, section=SECTION),
    ]  # fmt: skip


def add_out_of_distribution(
    result: Result,
    answers: Mapping[str, tuple[Tensor, Tensor]],
    unknown: str = "another data set",
    *,
    resamples: int = 2000,
    seed: int = 0,
) -> None:
    """How well networks tell images of their classes from others: table ``unknown_classes``, a figure of entropies.

    Args:
        answers: log-probabilities of known (n, N) and of unknown images (m, N) by network.
        unknown: what the unknown images are, in words.
        resamples, seed: of the bootstrap over both sets of images.
    """
    records, shares = [], []
    for name, (known, other) in answers.items():
        scores = [_unlabelled(found) for found in (known, other)]
        record: dict[str, Any] = {"network": name}
        for kind, sign in (("confidence", 1.0), ("entropy", -1.0)):
            pair = [sign * own[kind] for own in scores]
            found = _auroc(pair[0], pair[1], resamples, seed)
            record |= {f"auroc_{kind}": found.value, f"auroc_{kind}_low": found.low, f"auroc_{kind}_high": found.high}
        for kind in ("confidence", "entropy"):
            record |= {f"{kind}_known": _mean(scores[0][kind]), f"{kind}_unknown": _mean(scores[1][kind])}
        records.append(record)
        for word, own in (("known", scores[0]), ("unknown", scores[1])):
            drawn = _histogram(f"{name}, {word}", "entropy", own["entropy"], math.log(known.shape[1]))
            shares += [{"images": row["network"], "entropy": row["entropy"], "share": row["share"]} for row in drawn]
    result.tables["unknown_classes"], result.tables["unknown_histogram"] = table_of(records), table_of(shares)
    result.captions["unknown_classes"] = (
        f"{len(known)} test images against {len(other)} images of {unknown}, which show none of the classes. AUROC: "
        "how often a known image has the higher confidence, or the lower entropy, of a known and an unknown one "
        "(50: no better than chance), with 95% intervals over images."
    )
    result.sections |= dict.fromkeys(("unknown_classes", "unknown_histogram"), UNKNOWN)
    result.units |= dict.fromkeys(("auroc_confidence", "auroc_entropy", "confidence_known", "confidence_unknown",
                                   "share"), "%")  # fmt: skip
    result.units |= dict.fromkeys(("entropy", "entropy_known", "entropy_unknown"), "nats")
    result.figures += [
        Figure("bars", "unknown_classes", "Telling unknown images by their confidence",
               f"AUROC against {unknown}, with 95% intervals; 50 is chance.", x="network", y="auroc_confidence",
               percent=True, section=UNKNOWN),
        Figure("lines", "unknown_histogram", "Entropy of known and unknown images", "Share of the images.",
               x="entropy", y="share", group="images", percent=True, section=UNKNOWN),
    ]  # fmt: skip


def _unlabelled(answers: Tensor) -> dict[str, Tensor]:
    """The scores that need no label."""
    scores = per_image(answers, torch.zeros(len(answers), dtype=torch.int64))
    return {name: scores[name].double() for name in ("confidence", "entropy")}


def _auroc(known: Tensor, unknown: Tensor, resamples: int, seed: int) -> Estimate:
    """With an interval over both sets; from the ranks of the known images, each resample is two sums."""
    ordered = unknown.sort()
    left, right = (torch.searchsorted(ordered.values, known, right=side) for side in (False, True))
    first = bootstrap_weights(len(known), resamples=resamples, seed=seed)
    second = bootstrap_weights(len(unknown), resamples=resamples, seed=seed + 1)[:, ordered.indices]
    samples = []
    for own, other in zip(first.split(CHUNK), second.split(CHUNK), strict=True):
        below = torch.cat([torch.zeros(len(other), 1), other.cumsum(1)], dim=1)
        samples.append(((below[:, left] + below[:, right]) * own).sum(1).double() / (2 * len(known) * len(unknown)))
    return estimate(
        Resampled(float(auroc(known, unknown)), torch.cat(samples)), n=len(known) + len(unknown), unit="images"
    )


def _reliability(confidence: Tensor, correct: Tensor) -> list[dict[str, Any]]:
    """Rows of the bins that hold an image."""
    return reliability(confidence, correct, BINS)


def _histograms(name: str, scores: Mapping[str, Tensor], classes: int) -> list[dict[str, Any]]:
    return [
        *_histogram(name, "confidence", scores["confidence"], 1.0),
        *_histogram(name, "entropy", scores["entropy"], math.log(classes)),
    ]


def _histogram(name: str, column: str, values: Tensor, top: float) -> list[dict[str, Any]]:
    """Share of the values in bins of equal width from 0 to ``top``, by the bins' middles."""
    top = max(top, 1e-9)  # of a single class the entropy is 0
    counts = torch.histc(values.float().clamp(0, top), BINS, 0.0, top)
    middles = [(number + 0.5) * top / BINS for number in range(BINS)]
    shares = (counts / max(1, len(values))).tolist()
    return [{"network": name, column: middle, "share": share} for middle, share in zip(middles, shares, strict=True)]


def _mean(values: Tensor) -> float:
    return float(values.double().mean()) if len(values) else math.nan
