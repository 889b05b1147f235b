"""What corrupted images do to networks, as tables and figures of a result."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from src.core.estimate import Estimate
from src.core.result import Figure, Result, table_of
from src.methods.robustness.corruptions import EXTRA, KINDS, corrupt
from src.methods.robustness.mce import corruption_errors, relative_corruption_errors
from src.statistics.bootstrap import Resampled, bootstrap_weights, estimate
from src.statistics.calibration import ece
from src.studies.pictures import contact_sheet
from src.studies.robustness.shifted import CELLS, Reference, Shifted

SECTION = "Corruptions"
LARGEST = 96  # pixels of an image on the sheet
BOXES = ("low", "q1", "", "q3", "high")  # at these quantiles, in this order
QUANTILES = (0.0, 0.25, 0.5, 0.75, 1.0)


def add_robustness(result: Result, shifted: Shifted, reference: Reference | None, *, resamples: int, seed: int) -> None:
    """Tables ``robustness``, ``severities``, ``corruptions`` and figures of them; intervals over images.

    Args:
        reference: the network that errors are divided by (:meth:`Shifted.reference`, :func:`read_reference`); without
            one there is no mCE, and errors stand as they are.
    """
    weights = bootstrap_weights(shifted.images, resamples=resamples, seed=seed).double() / shifted.images  # (B, n)
    _add_networks(result, shifted, reference, weights)
    _add_severities(result, shifted, weights)
    _add_corruptions(result, shifted, reference, weights)
    _add_cells(result, shifted)
    _add_heatmaps(result, shifted)
    result.sections |= dict.fromkeys(("robustness", "severities", "spread", "corruptions", CELLS), SECTION)
    percents = ("accuracy", "clean_accuracy", "corrupted_accuracy", "retained", "confidence", "top5", "auc", "ece",
                "corrupted_ece", "mce", "relative_mce", "benchmark_mce", "ce")  # fmt: skip
    degrees = [f"severity_{severity}" for severity in shifted.severities]
    spread = [f"accuracy_{part}" for part in ("q1", "q3", "mean")]
    result.units |= dict.fromkeys((*percents, *degrees, *spread), "%")
    result.units |= dict.fromkeys(("entropy", "nll", "nll_clipped", "corrupted_nll"), "nats")


def _add_networks(result: Result, shifted: Shifted, reference: Reference | None, weights: Tensor) -> None:
    records = []
    published = torch.tensor([name not in EXTRA for name in shifted.corruptions])
    for row, name in enumerate(shifted.networks):
        hits, clean = shifted.scores["correct"][row].double(), shifted.clean["correct"][row].double()
        record: dict[str, Any] = {"network": name}
        record |= _bounds("clean_accuracy", _mean(clean, weights))
        record |= _bounds("corrupted_accuracy", _mean(hits.mean((0, 1)), weights))
        record["retained"] = float(hits.mean() / clean.mean()) if clean.any() else math.nan
        if reference is not None:
            for kind, found in _mces(1 - hits, 1 - clean, reference, weights).items():
                record |= _bounds(kind, found)
            ratios = corruption_errors(1 - hits.mean(-1), reference.errors.mean(-1))
            record["benchmark_mce"] = float(ratios[published].mean())
        scores = {score: values[row] for score, values in shifted.scores.items()}
        record["corrupted_ece"] = float(ece(scores["confidence"].flatten(), scores["correct"].flatten()))
        record["corrupted_brier"] = float(scores["brier"].double().mean())
        record["corrupted_nll"] = float(scores["nll_clipped"].double().mean())
        records.append(record)
    result.tables["robustness"] = table_of(records)
    said = (
        f"mCE: the errors of each corruption, summed over severities, as a share of those of '{reference.name}', and "
        "the mean of that over corruptions; relative: of what is lost against clean images (Hendrycks & Dietterich "
        f"2019). Benchmark: without {', '.join(EXTRA)}, as published."
        if reference is not None
        else "Errors are not divided by another network's (no reference), so there is no mCE."
    )
    result.captions["robustness"] = (
        f"{shifted.images} test images, clean and under {len(shifted.corruptions)} corruptions of "
        f"{len(shifted.severities)} severities; 95% intervals over images. Retained: corrupted accuracy as a share of "
        f"the clean one. {said} ECE over all corrupted images, NLL clipped at a probability of 1e-7."
    )


def _mces(errors: Tensor, clean: Tensor, reference: Reference, weights: Tensor) -> dict[str, Estimate]:
    """Both, resampled; a reference that saw the same images is resampled with them.

    Args:
        errors: (C, S, n), 1 where wrong. clean: (n,).
    """

    def both(average: Any) -> tuple[Tensor, Tensor]:
        own, own_clean = average(errors), average(clean)
        other, other_clean = average(reference.errors), average(reference.clean)
        return (
            corruption_errors(own, other).mean(-1),
            relative_corruption_errors(own, own_clean, other, other_clean).mean(-1),
        )

    def resampled(values: Tensor) -> Tensor:  # (..., n) -> (B, ...); of others' images only the share is known
        if values.shape[-1] == 1:
            return values[..., 0].expand(len(weights), *values.shape[:-1])
        return (values @ weights.T).movedim(-1, 0)

    values, samples = both(lambda values: values.mean(-1)), both(resampled)
    return {
        name: estimate(Resampled(float(value), several), n=errors.shape[-1], unit="images")
        for name, value, several in zip(("mce", "relative_mce"), values, samples, strict=True)
    }


def _add_severities(result: Result, shifted: Shifted, weights: Tensor) -> None:
    """All corruptions pooled, by severity (0: clean images); and the spread over corruptions."""
    records, boxes = [], []
    for row, network in enumerate(shifted.networks):
        for column, severity in enumerate((0, *shifted.severities)):
            if severity:
                pooled = {score: values[row, :, column - 1] for score, values in shifted.scores.items()}  # (C, n)
                area = float(shifted.auc[row, :, column - 1].mean())
            else:
                pooled = {score: values[row : row + 1] for score, values in shifted.clean.items()}
                area = float(shifted.clean_auc[row])
            record: dict[str, Any] = {"network": network, "severity": severity}
            record |= _bounds("accuracy", _mean(pooled["correct"].double().mean(0), weights))
            records.append(record | _summary(pooled) | {"auc": area})
            if severity:
                boxes.append({"network": network, "severity": severity, **_box("accuracy", pooled["correct"]),
                              **_box("brier", pooled["brier"])})  # fmt: skip
    result.tables["severities"], result.tables["spread"] = table_of(records), table_of(boxes)
    result.captions["severities"] = (
        "All corruptions together; severity 0 is the clean images. NLL is the mean over images whose class has a "
        "probability; those without one are counted. Brier from 0 to 2."
    )
    result.captions["spread"] = "Over the corruptions: median, quartiles, the least and the greatest, mean."
    band = "All corruptions together, with 95% intervals over images; 0 is the clean images."
    whiskers = "Over the corruptions: median, quartiles, whiskers to the least and the greatest, mean dashed."
    result.figures += [
        Figure("lines", "severities", "Accuracy by severity", band, x="severity", y="accuracy", group="network",
               percent=True, section=SECTION),
        Figure("box", "spread", "Accuracy over the corruptions", whiskers, x="severity", y="accuracy",
               group="network", percent=True, section=SECTION),
        Figure("box", "spread", "Brier score over the corruptions", whiskers, x="severity", y="brier",
               group="network", section=SECTION),
        Figure("lines", "severities", "Calibration error by severity", "ECE of 15 bins, all corruptions together.",
               x="severity", y="ece", group="network", percent=True, section=SECTION),
    ]  # fmt: skip


def _summary(scores: dict[str, Tensor]) -> dict[str, float]:
    """Means over all images of per-image scores of any shape; ECE is of all of them together."""
    nll = scores["nll"].double()
    finite = nll.isfinite()
    found: dict[str, float] = {name: float(scores[name].double().mean()) for name in ("confidence", "entropy", "brier")}
    found["ece"] = float(ece(scores["confidence"].flatten(), scores["correct"].flatten()))
    found["nll"] = float(nll[finite].mean()) if finite.any() else math.nan
    found["infinite_nll"] = int((~finite).sum())
    found["nll_clipped"] = float(scores["nll_clipped"].double().mean())
    found["top5"] = float(scores["top5"].double().mean())
    return found


def _box(name: str, values: Tensor) -> dict[str, float]:
    """Five numbers and the mean of the corruptions' means; ``values`` (C, n)."""
    means = values.double().mean(1)
    found = means.quantile(torch.tensor(QUANTILES, dtype=torch.float64)).tolist()
    box = {f"{name}_{part}" if part else name: value for part, value in zip(BOXES, found, strict=True)}
    return box | {f"{name}_mean": float(means.mean())}


def _add_corruptions(result: Result, shifted: Shifted, reference: Reference | None, weights: Tensor) -> None:
    records = []
    for row, network in enumerate(shifted.networks):
        hits = shifted.scores["correct"][row].double()  # (C, S, n)
        shares = hits.mean(-1)
        if reference is not None:
            ratios = corruption_errors(1 - shares, reference.errors.mean(-1)).tolist()
        for c, corruption in enumerate(shifted.corruptions):
            record: dict[str, Any] = {"network": network, "corruption": corruption, "kind": KINDS[corruption]}
            record |= _bounds("accuracy", _mean(hits[c].mean(0), weights))
            record |= {f"severity_{s}": float(shares[c, k]) for k, s in enumerate(shifted.severities)}
            records.append(record | ({"ce": ratios[c]} if reference is not None else {}))
    result.tables["corruptions"] = table_of(records)
    result.captions["corruptions"] = "Accuracy over all severities with its 95% interval, and at each of them." + (
        f" CE: errors as a share of those of '{reference.name}'." if reference is not None else ""
    )
    result.figures.append(
        Figure("bars", "corruptions", "Accuracy by corruption", "Over all severities, with 95% intervals over images.",
               x="corruption", y="accuracy", group="network", percent=True, section=SECTION)
    )  # fmt: skip
    if reference is not None and any(name != reference.name for name in shifted.networks):
        result.figures.append(
            Figure("bars", "corruptions", "Corruption errors", f"As a share of those of '{reference.name}': below 100 "
                   "is better.", x="corruption", y="ce", group="network", percent=True, section=SECTION)
        )  # fmt: skip


def _add_cells(result: Result, shifted: Shifted) -> None:
    """Every corruption and severity; severity 0 is the clean images."""
    records = []
    for row, network in enumerate(shifted.networks):
        plain = {score: values[row] for score, values in shifted.clean.items()}
        first = {"network": network, "corruption": "none", "severity": 0}
        records.append(first | {"accuracy": float(plain["correct"].double().mean())} | _summary(plain))
        for c, corruption in enumerate(shifted.corruptions):
            for s, severity in enumerate(shifted.severities):
                scores = {score: values[row, c, s] for score, values in shifted.scores.items()}
                cell = {"network": network, "corruption": corruption, "severity": severity}
                records.append(cell | {"accuracy": float(scores["correct"].double().mean())} | _summary(scores))
    result.tables[CELLS] = table_of(records)


def _add_heatmaps(result: Result, shifted: Shifted) -> None:
    """Corruption against severity, one picture per network."""
    cells = result.tables[CELLS]
    for number, network in enumerate(shifted.networks):
        name = f"grid_{number + 1}" if len(shifted.networks) > 1 else "grid"
        chosen = [k for k, own in enumerate(cells["network"]) if own == network and cells["severity"][k]]
        result.tables[name] = {
            "corruption": [cells["corruption"][k] for k in chosen],
            "severity": [cells["severity"][k] for k in chosen],
            "accuracy": [cells["accuracy"][k] for k in chosen],
        }
        result.sections[name] = SECTION
        title = "Accuracy by corruption and severity" + (f": {network}" if len(shifted.networks) > 1 else "")
        result.figures.append(
            Figure("heatmap", name, title, "", x="severity", y="corruption", value="accuracy", percent=True,
                   section=SECTION)
        )  # fmt: skip


def add_corruption_sheet(
    result: Result, images: Tensor, corruptions: Sequence[str], severities: Sequence[int], *, seed: int
) -> None:
    """Two images as the networks see them: a row per corruption, first clean, then by severity."""
    shown = images[:: max(1, len(images) // 2)][:2]
    rows = []
    for name in corruptions:
        seen = [shown, *(corrupt(shown, name, severity, seed=seed) for severity in severities)]
        rows.append(torch.stack(seen, dim=1).flatten(0, 1))  # (images of the row, C, H, W)
    columns = len(shown) * (1 + len(severities))
    sheet = torch.cat(rows)
    if sheet.shape[-1] > LARGEST:
        sheet = torch.nn.functional.interpolate(sheet.float(), LARGEST, mode="area").round().to(torch.uint8)
    result.images["corrupted_images"] = contact_sheet(
        sheet, columns, len(rows), zoom=2 if sheet.shape[-1] < LARGEST // 2 else 1
    )
    result.figures.append(
        Figure("image", "corrupted_images", "Corrupted images", f"From top to bottom: {', '.join(corruptions)}. From "
               f"left to right: clean, then severity {', '.join(map(str, severities))}.", section=SECTION)
    )  # fmt: skip


def _mean(values: Tensor, weights: Tensor) -> Estimate:
    """Mean of (n,) values with its interval; ``weights`` float64 (B, n), rows sum to 1."""
    return estimate(Resampled(float(values.mean()), weights @ values), n=len(values), unit="images")


def _bounds(name: str, found: Estimate) -> dict[str, float]:
    return {name: found.value, f"{name}_low": found.low, f"{name}_high": found.high}
