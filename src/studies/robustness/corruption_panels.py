"""What corrupted images do to networks, as tables and figures."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any

import torch

from src.artifacts.opening import sheet
from src.core.result import Figure, Panel
from src.imageops.sheets import contact_sheet
from src.methods.robustness.corruptions import EXTRA, KIND_OF
from src.studies.robustness.calibration_panels import SCORES_SAID
from src.studies.robustness.corruption import CorruptedImages, Robustness, Spread
from src.studies.robustness.shifted import CELLS

SECTION = "Corruptions"
LARGEST = 96  # pixels of an image on the sheet
CORRUPTION_TERMS = {
    "corrupted_accuracy": "Accuracy on damaged images, the mean over all corruptions and severities.",
    "clean_accuracy": "Accuracy on test images as they are.",
    "corrupted_ece": "Expected calibration error on damaged images.",
    "corruption": "A kind of damage to images.",
    "severity": "How strong the damage is, from 1 to 5; 0 is the clean image.",
    "retained": "Accuracy on damaged images as a share of that on clean ones.",
    "relative_mce": "As mCE, of what is lost against clean images.",
    "benchmark_mce": "mCE over the corruptions of the published benchmark alone.",
    "ce": "Errors under a corruption as a share of a reference network's.",
    "corrupted_brier": "Brier score on damaged images: 0 is best, 2 worst.",
    "corrupted_nll": "NLL on damaged images.",
    "top5": "Share of images whose class is among the five most probable.",
}
SCORES = {
    **dict.fromkeys(("accuracy", "confidence", "ece", "top5"), "%"),
    **dict.fromkeys(("entropy", "nll", "nll_clipped"), "nats"),
}


def robustness_panels(robustness: Robustness, classes: int) -> Iterator[Panel]:
    """Tables ``robustness``, ``severities``, ``spread``, ``corruptions``, ``corrupted`` and grids, with figures.

    Args:
        classes: how many there are, which says what guessing gives.
    """
    levels = {"guessing": 1 / classes}
    if len(robustness.networks) == 1:
        levels["clean images"] = next(iter(robustness.networks.values())).clean_accuracy.value
    yield _networks(robustness, classes)
    yield _severities(robustness, levels)
    yield _corruptions(robustness)
    yield from _grids(robustness, classes)
    yield _spread(robustness)
    yield _cells(robustness)


def judged_on(robustness: Robustness) -> str:
    """How many images stand behind each number, for a title."""
    return f"{robustness.images:,} images"


def _networks(robustness: Robustness, classes: int) -> Panel:
    rows = []
    for name, network in robustness.networks.items():
        row: dict[str, Any] = {
            "network": name,
            **network.corrupted_accuracy.columns("corrupted_accuracy"),
            **network.clean_accuracy.columns("clean_accuracy"),
            "retained": network.retained,
        }
        if network.relative is not None:
            row |= network.relative.mce.columns("mce") | network.relative.relative_mce.columns("relative_mce")
            row["benchmark_mce"] = network.relative.benchmark_mce
        row["corrupted_ece"] = network.corrupted.ece
        row["corrupted_brier"] = network.corrupted.brier
        row["corrupted_nll"] = network.corrupted.nll_clipped
        rows.append(row)
    mce = (
        f"mCE: the errors of each corruption, summed over severities, as a share of those of '{robustness.reference}', "
        "and the mean of that over corruptions; relative: of what is lost against clean images (Hendrycks & Dietterich "
        f"2019). Benchmark: without {', '.join(EXTRA).replace('_', ' ')}, as published."
        if robustness.reference is not None
        else "Errors are not divided by another network's (study.reference): there is no mCE (mean corruption error)."
    )
    caption = (
        f"{robustness.images:,} test images, clean and under {len(robustness.corruptions)} corruptions of "
        f"{len(robustness.severities)} severities; 95% intervals over images. Retained: corrupted accuracy as a share "
        f"of the clean one. {SCORES_SAID} Guessing with even probabilities gives an NLL of {math.log(classes):.2f} and "
        f"a Brier score of {1 - 1 / classes:.2f}. {mce}"
    )
    percents = ["clean_accuracy", "corrupted_accuracy", "retained", "corrupted_ece"]
    if robustness.reference is not None:
        percents += ["mce", "relative_mce", "benchmark_mce"]
    units = {**dict.fromkeys(percents, "%"), "corrupted_nll": "nats"}
    return Panel(SECTION, "robustness", rows, caption, units, title=f"Damaged against clean ({judged_on(robustness)})")


def _severities(robustness: Robustness, levels: Mapping[str, float]) -> Panel:
    """All corruptions pooled, by severity (0: clean images)."""
    rows = [
        {"network": name, "severity": pooled.severity, **pooled.accuracy.columns("accuracy"),
         "confidence": pooled.scores.confidence, "ece": pooled.scores.ece, **asdict(pooled.scores), "auc": pooled.auc}
        for name, network in robustness.networks.items()
        for pooled in network.severities
    ]  # fmt: skip
    caption = (
        "All corruptions together; severity 0 is the clean images. A network whose confidence is above its accuracy is "
        "too sure."
    )
    band = "All corruptions together, with 95% intervals over images; 0 is the clean images."
    figures = [
        Figure("lines", "severities", f"Accuracy by severity ({judged_on(robustness)})", band, x="severity",
               y="accuracy", group="network", percent=True, levels=levels),
        Figure("lines", "severities", "Calibration error by severity", "How far confidence lies from the share of "
               "right answers, all corruptions together.", x="severity", y="ece", group="network", percent=True,
               levels={"confidence that holds what it says": 0.0}),
    ]  # fmt: skip
    return Panel(SECTION, "severities", rows, caption, {**SCORES, "auc": "%"}, figures, title="By severity")


def _spread(robustness: Robustness) -> Panel:
    rows = [
        {"network": name, "severity": pooled.severity, **_box("accuracy", pooled.accuracy_spread),
         **_box("brier", pooled.brier_spread)}
        for name, network in robustness.networks.items()
        for pooled in network.severities
        if pooled.accuracy_spread is not None and pooled.brier_spread is not None
    ]  # fmt: skip
    whiskers = (
        "Of the kinds of damage at one severity: the line in the box is the middle one, half of them lie in the box, "
        "the whiskers reach the least and the greatest, and the mean is dashed."
    )
    figures = [
        Figure("box", "spread", "How much kinds of damage differ: accuracy", whiskers, x="severity", y="accuracy",
               group="network", percent=True),
        Figure("box", "spread", "How much kinds of damage differ: Brier score", "The same of the squared distance of "
               "the probabilities from the truth: 0 is best.", x="severity", y="brier", group="network"),
    ]  # fmt: skip
    units = dict.fromkeys(("accuracy", "accuracy_q1", "accuracy_q3", "accuracy_mean"), "%")
    caption = "Over the corruptions: median, quartiles, the least and the greatest, mean."
    return Panel(SECTION, "spread", rows, caption, units, figures, title="How much kinds of damage differ")


def _box(name: str, spread: Spread) -> dict[str, float]:
    """The columns that a figure of boxes draws: here ``_low`` and ``_high`` are the ends of whiskers."""
    return {
        f"{name}_low": spread.least,
        f"{name}_q1": spread.first_quartile,
        name: spread.median,
        f"{name}_q3": spread.third_quartile,
        f"{name}_high": spread.greatest,
        f"{name}_mean": spread.mean,
    }


def _worst_first(robustness: Robustness) -> list[int]:
    """Places of the corruptions by accuracy over all networks, so that all of a page stand in one order."""
    networks = robustness.networks.values()
    return sorted(
        range(len(robustness.corruptions)),
        key=lambda place: sum(network.accuracies[place].value for network in networks),
    )


def _corruptions(robustness: Robustness) -> Panel:
    """Accuracies are drawn of several networks; of one the grid has them all."""
    rows = []
    for name, network in robustness.networks.items():
        for place in _worst_first(robustness):
            corruption = robustness.corruptions[place]
            row: dict[str, Any] = {"network": name, "corruption": corruption, "kind": KIND_OF[corruption]}
            row |= network.accuracies[place].columns("accuracy")
            cells = zip(robustness.severities, network.cells[place], strict=True)
            row |= {f"severity_{severity}": cell.accuracy for severity, cell in cells}
            if network.relative is not None:
                row["ce"] = network.relative.by_corruption[place]
            rows.append(row)
    reference = robustness.reference
    caption = "Accuracy over all severities with its 95% interval, and at each of them."
    columns = ["accuracy", *(f"severity_{severity}" for severity in robustness.severities)]
    figures = []
    if len(robustness.networks) > 1:
        figures.append(
            Figure("heatmap", "corruptions", f"Accuracy by corruption ({judged_on(robustness)})", "Over all "
                   "severities, worst corruption first.", x="network", y="corruption", value="accuracy", percent=True)
        )  # fmt: skip
    if reference is not None:
        caption += f" CE: errors as a share of those of '{reference}'."
        columns.append("ce")
        if len(robustness.networks) == 1:
            figures.append(
                Figure("bars", "corruptions", "Corruption errors", f"As a share of those of '{reference}': below 100 "
                       "is better.", x="corruption", y="ce", percent=True)
            )  # fmt: skip
    units = {**dict.fromkeys(columns, "%"), "corruption": "key"}
    return Panel(SECTION, "corruptions", rows, caption, units, figures, title="By corruption", folded=True)


def _cells(robustness: Robustness) -> Panel:
    """Every corruption and severity; severity 0 is the clean images. Other results' references are read from it."""
    rows: list[Mapping[str, Any]] = []
    for name, network in robustness.networks.items():
        clean = {"network": name, "corruption": "none", "severity": 0, "accuracy": network.clean.accuracy}
        rows.append(clean | asdict(network.clean.scores))
        rows += [
            {"network": name, "corruption": corruption, "severity": severity, "accuracy": cell.accuracy,
             **asdict(cell.scores)}
            for corruption, cells in zip(robustness.corruptions, network.cells, strict=True)
            for severity, cell in zip(robustness.severities, cells, strict=True)
        ]  # fmt: skip
    units = {**SCORES, "corruption": "key"}
    return Panel(SECTION, CELLS, rows, "Severity 0: clean.", units, title="Every corruption and severity", folded=True)


def _grids(robustness: Robustness, classes: int) -> Iterator[Panel]:
    """Corruption against severity, one picture per network."""
    several = len(robustness.networks) > 1
    for number, (name, network) in enumerate(robustness.networks.items()):
        table = f"grid_{number + 1}" if several else "grid"
        rows = [
            {"corruption": robustness.corruptions[place], "severity": severity, "accuracy": cell.accuracy}
            for place in _worst_first(robustness)
            for severity, cell in zip(robustness.severities, network.cells[place], strict=True)
        ]
        title = "Accuracy by corruption and severity" + (f": {name}" if several else "")
        caption = (
            f"Each field: the share of {judged_on(robustness)} that is classified right, worst corruption first. Clean "
            f"images: {network.clean_accuracy.value:.1%}; guessing: {1 / classes:.1%}."
        )
        figure = Figure("heatmap", table, title, caption, x="severity", y="corruption", value="accuracy", percent=True)
        yield Panel(SECTION, table, rows, units={"accuracy": "%", "corruption": "key"}, figures=[figure])


def corrupted_images_panels(sample: CorruptedImages) -> Iterator[Panel]:
    """Images as the networks see them: under each corruption, and a row of each, clean and by severity."""
    worst, labels = sample.images[:, 0, -1], [name.replace("_", " ") for name in sample.corruptions]
    yield sheet("corruptions_shown", torch.cat([sample.images[:1, 0, 0], worst]), ["clean", *labels],
                "What each corruption does", f"At severity {sample.severities[-1]}.", SECTION)  # fmt: skip
    corruptions, shown, degrees = sample.images.shape[:3]
    images = sample.images.flatten(0, 2)
    if images.shape[-1] > LARGEST:
        images = torch.nn.functional.interpolate(images.float(), LARGEST, mode="area").round().to(torch.uint8)
    zoom = 2 if images.shape[-1] < LARGEST // 2 else 1
    figure = Figure(
        "image", "corrupted_images", "The same by severity", "From the clean image to the strongest damage.",
        rows=tuple(labels), labels=("clean", *map(str, sample.severities)) * shown,
    )  # fmt: skip
    picture = contact_sheet(images, shown * degrees, corruptions, zoom=zoom)
    yield Panel(SECTION, "corrupted_images", picture, figures=[figure])
