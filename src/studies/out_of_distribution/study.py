"""The study of distorted images: what is still named right, and whether errors are those of people.

Geirhos et al. (NeurIPS 2021, arXiv:2106.07411): accuracy in 16 categories by condition, and how consistent errors are.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

import pandas as pd
import torch

from src.artifacts.examined_subject import Examined
from src.core.errors import UserError, suggestion
from src.core.estimate import Estimate
from src.core.result import Figure, Opening, Panel, Step, Verdict
from src.core.shown import Shown
from src.data.distorted import Distorted, condition_of, decoded_distorted, identity_of, listed_distorted
from src.data.image_set import ImageSet
from src.methods.locality.categories import SIXTEEN, category_scores, members_of
from src.methods.locality.decisions import decisions_table, read_decisions, write_decisions
from src.networks.activations import predict
from src.statistics.bootstrap import proportion
from src.studies.observers import DECISIONS, NETWORK, Comparison, compared, observers_panel
from src.studies.out_of_distribution.options import Options
from src.studies.protocol import Run

SECTION = "Out of distribution"
KEY = "study.distorted"
TERMS = {
    "ood_accuracy": "Share of the distorted images that are named right, over all conditions that count.",
    "error_consistency": "Whether the network errs on the same images as people: 1 always, 0 no more than by chance.",
    "observed_consistency": "Share of the images that the network and a person both get right or both wrong.",
    "accuracy_difference": "How far the network's accuracy lies from people's.",
    "condition": "A way and strength of distortion.",
    "counts": "Whether the condition is part of the means.",
    "observer": "Who decided: the network, other networks, or people.",
    "squared_difference": "Squared difference of the accuracies.",
    "observed": "Share of the images that both get right or both wrong.",
    "kappa": "What of it is beyond chance at their accuracies: 1 the same errors, 0 by chance.",
    "mean_rank": "Place among the networks, over three measures; 1 is most like people.",
}


@dataclass(frozen=True)
class Condition:
    """One condition: the network's accuracy, the mean of people's on the same images (None: nobody saw them).

    Attributes:
        counts: whether it is part of the means.
    """

    name: str
    accuracy: Estimate
    people: float | None
    counts: bool


@dataclass(frozen=True)
class Findings(Shown):
    """What the study finds of one network.

    Attributes:
        accuracy: over all images of the conditions that count.
        conditions: each by itself.
        comparison: with other observers, or None.
        decisions: a row per trial, in the public columns.
        categories: how many.
    """

    accuracy: Estimate
    conditions: tuple[Condition, ...]
    comparison: Comparison | None
    decisions: list[dict[str, Any]]
    categories: int


def check(options: Options, images: ImageSet | None) -> None:
    """Refuse what can be refused before anything trains.

    Raises:
        UserError: there are no such images, one is named otherwise or of an unknown category, a condition is not among
            them, or the decisions cannot be read.
    """
    known = set(SIXTEEN) | set(images.classes if images is not None else ())
    listed = _listed(options, known)
    if images is not None:
        members_of(_categories(listed), images.classes)
    if options.observers is not None:
        read_decisions(Path(options.observers).expanduser(), known)


def estimate(examined: Examined, options: Options, run: Run) -> Findings:
    """Let the network decide, and write its decisions beside the result.

    Raises:
        UserError: the network does not know the categories, an image cannot be read, or observers saw other images.
    """
    subject = examined.subject
    channels, height, _ = subject.input_shape
    known = set(SIXTEEN) | set(subject.classes)
    listed = _listed(options, known)
    members = members_of(_categories(listed), subject.classes)
    shown = [image for image in listed if image.category in members]
    if len(shown) < len(listed):
        run.session.event(f"{KEY}: {len(shown)} of {len(listed)} images are of categories that the network knows")
    with run.session.stage("decisions"):
        scores = torch.cat([
            category_scores(
                predict(subject.model, subject.normalise(images), options.batch).double().softmax(1), members,
                options.rule,
            )
            for images in decoded_distorted(shown, height, channels, options.batch)
        ])  # fmt: skip
    names = tuple(members)
    decisions = decisions_table(
        NETWORK, [image.file.name for image in shown], [names[number] for number in scores.argmax(1).tolist()],
        [image.category for image in shown], [image.condition for image in shown], [image.session for image in shown],
    )  # fmt: skip
    write_decisions(run.session.folder / DECISIONS, decisions)
    left_out = {condition_of(word) for word in options.leave_out}
    table = None if options.observers is None else read_decisions(Path(options.observers).expanduser(), known)
    comparison = None if table is None else compared(decisions, table, run.session, left_out)
    counted = [row for row in decisions if row["condition"] not in left_out]
    return Findings(
        _accuracy(counted), tuple(_conditions(decisions, table, comparison, left_out)), comparison, decisions,
        len(names),
    )  # fmt: skip


def _listed(options: Options, categories: Collection[str]) -> list[Distorted]:
    listed = listed_distorted(Path(options.distorted).expanduser(), categories, KEY)
    conditions = {image.condition for image in listed}
    for word in options.leave_out:
        if condition_of(word) not in conditions:
            raise UserError(f"study.leave_out={list(options.leave_out)}: {suggestion(condition_of(word), conditions)}")
    if conditions <= {condition_of(word) for word in options.leave_out}:
        raise UserError(f"study.leave_out={list(options.leave_out)}: leaves no condition; name fewer")
    return listed


def _categories(images: list[Distorted]) -> list[str]:
    return sorted({image.category for image in images})


def _accuracy(rows: list[dict[str, Any]]) -> Estimate:
    right = sum(row["object_response"] == row["category"] for row in rows)
    return proportion(right, len(rows), unit="images")


def _conditions(
    decisions: list[dict[str, Any]], table: pd.DataFrame | None, comparison: Comparison | None, left_out: set[str]
) -> Iterator[Condition]:
    for name in sorted({row["condition"] for row in decisions}, key=_rank):
        rows = [row for row in decisions if row["condition"] == name]
        people = None
        if table is not None and comparison is not None:
            images = {identity_of(row["imagename"]) for row in rows}
            theirs = table[(table["condition"] == name) & table["subj"].isin(comparison.people)]
            theirs = theirs[theirs["imagename"].map(identity_of).isin(images)]
            shares = [float((one["object_response"] == one["category"]).mean()) for _, one in theirs.groupby("subj")]
            people = fmean(shares) if shares else None
        yield Condition(name, _accuracy(rows), people, name not in left_out)


def _rank(condition: str) -> tuple[int, float, str]:
    """Numbers by their size, before words."""
    try:
        return 0, float(condition), condition
    except ValueError:
        return 1, 0.0, condition


def opening(options: Options, subject: str, images: str) -> Opening:
    """What the words mean, and what is done."""
    others = (
        " Others have decided on the same images; error consistency says whether the network fails where they do."
        if options.observers is not None
        else ""
    )
    return Opening(
        f"What does {subject} still name right of distorted images ('{Path(options.distorted).name}')?",
        "The network is shown images unlike those that it was trained on (out of distribution): distorted on purpose, "
        "in several conditions, such as less contrast, more noise, or a drawing in the place of a photograph. It names "
        f"one of a few broad categories, each of several of its classes.{others}",
        terms=TERMS,
    )


def steps(findings: Findings) -> tuple[list[Step], list[Panel]]:
    """Conditions, the share named right, and people's errors."""
    counted = sum(each.counts for each in findings.conditions)
    boxes = [
        Step("→", "distorted images", f"{counted} conditions that count", f"{findings.accuracy.n:,} images"),
        Step("→", "named right", f"of {findings.categories} categories; guessing: {1 / findings.categories:.0%}",
             f"{findings.accuracy.value:.1%}"),
    ]  # fmt: skip
    if findings.comparison is not None:
        kappa = findings.comparison.agreements[NETWORK].kappa
        boxes.append(Step("against", "people", "do both err on the same images?", f"error consistency {kappa:.2f}"))
    return boxes, []


def panels(findings: Findings) -> Iterator[Panel]:
    """Accuracy by condition, beside people's; how alike errors are; all decisions."""
    rows = [
        {"condition": each.name, "observer": NETWORK, **each.accuracy.columns("accuracy"), "images": each.accuracy.n,
         "counts": each.counts}
        for each in findings.conditions
    ] + [
        {"condition": each.name, "observer": "people", "accuracy": each.people, "accuracy_low": None,
         "accuracy_high": None, "images": each.accuracy.n, "counts": each.counts}
        for each in findings.conditions if each.people is not None
    ]  # fmt: skip
    caption = (
        f"Share of the images whose category, of {findings.categories}, is named right; guessing: "
        f"{1 / findings.categories:.1%}. 95% intervals over images; people: the mean of theirs. Only conditions that "
        "count are part of the means."
    )
    figure = Figure("bars", "ood_accuracy", "Accuracy by condition", x="condition", y="accuracy", group="observer",
                    percent=True)  # fmt: skip
    yield Panel(SECTION, "ood_accuracy", rows, caption, {"accuracy": "%"}, [figure])
    if findings.comparison is not None:
        yield observers_panel(SECTION, findings.comparison)
    yield Panel(SECTION, "decisions", findings.decisions, f"Every decision, as in {DECISIONS} beside the result.")


def verdict(findings: Findings) -> Verdict:
    """Accuracy over the conditions that count; consistency with people."""
    metrics, units = {"ood_accuracy": findings.accuracy}, {"ood_accuracy": "%"}
    counted = sum(each.counts for each in findings.conditions)
    sentence = (
        f"{findings.accuracy.value:.1%} of {findings.accuracy.n} distorted images are named right, under {counted} of "
        f"{len(findings.conditions)} conditions"
    )
    if findings.comparison is not None:
        network = findings.comparison.agreements[NETWORK]
        metrics |= {
            "observed_consistency": Estimate(network.observed),
            "error_consistency": Estimate(network.kappa),
            "accuracy_difference": Estimate(network.accuracy_difference),
        }
        units |= {"observed_consistency": "%", "accuracy_difference": "%"}
        ceiling = findings.comparison.ceiling
        sentence += f"; error consistency {network.kappa:.2f} with {len(findings.comparison.people)} observers"
        sentence += f", {ceiling.kappa:.2f} among themselves" if ceiling is not None else ""
    screen = ("ood_accuracy",) if findings.comparison is None else ("ood_accuracy", "observers")
    return Verdict(sentence, metrics=metrics, units=units, screen=screen)
