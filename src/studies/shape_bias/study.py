"""The study of shape bias: what is decided where shape and texture disagree, and how others decide there."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from src.artifacts.examined_subject import Examined
from src.artifacts.opening import LINE, picture, sheet
from src.core.estimate import Estimate
from src.core.result import Figure, Opening, Panel, Step, Verdict
from src.core.shown import Shown
from src.data.cue_conflict import CueConflict, conflicting_glyphs, cues_of, listed, read_cue_conflict
from src.data.distorted import identity_of
from src.data.image_set import ImageSet
from src.methods.locality.categories import SIXTEEN, category_scores, members_of
from src.methods.locality.decisions import (
    conflicts_of,
    decisions_table,
    read_decisions,
    trials_of,
    write_decisions,
)
from src.methods.locality.shape_bias import Sensitivity, ShapeBias, crossed_weights, sensitivity, shape_bias
from src.networks.activations import predict
from src.networks.subjects import Subject
from src.studies.observers import DECISIONS, NETWORK, Comparison, compared, observers_panel
from src.studies.protocol import Run
from src.studies.shape_bias.options import Options

SECTION = "Shape or texture"
GLYPHS = "glyphs"  # conflicts that are drawn here
TERMS = {
    "shape_bias": "Decisions for the shape as a share of those for the shape or the texture; 50%: both count alike.",
    "shape_decisions": "Share of all images that are called by their shape.",
    "texture_decisions": "Share of all images that are called by their texture.",
    "shape_over_texture_decisions": "Share called by the shape minus share called by the texture.",
    "shape_sensitivity": "How high the shape's class is ranked among all, beyond chance; 0: not noticed.",
    "texture_sensitivity": "How high the texture's class is ranked among all, beyond chance; 0: not noticed.",
    "sensitivity": "How high the cue's class is ranked among all, beyond chance; 0: not noticed.",
    "cue": "What an image can be recognised by: its shape or its texture.",
    "shape": "Share of all images that are called by their shape.",
    "texture": "Share of all images that are called by their texture.",
    "shape_hits": "Images that are called by their shape.",
    "texture_hits": "Images that are called by their texture.",
    "trials": "Images that were shown.",
    "no_cue_used": "Whether shape and texture together are named no more often than by guessing.",
    "category": "What a shape or a texture is of; several classes of the network may belong to one.",
    "observer": "Who decided: the network, other networks, or people.",
}


@dataclass(frozen=True)
class Findings(Shown):
    """What the study finds of one network.

    Attributes:
        bias: counts and their ratio. sensitivity: to each cue, by ranks over all labels.
        decisions: a row per trial, in the public columns; ``shown``: their images.
        observers: counts and ratios of others, by the same function, on the images that both saw.
        comparison: how alike the network and the others err, or None.
    """

    bias: ShapeBias
    sensitivity: Sensitivity
    decisions: list[dict[str, Any]]
    shown: CueConflict
    observers: Mapping[str, ShapeBias]
    comparison: Comparison | None


def check(options: Options, images: ImageSet | None) -> None:
    """Refuse what can be refused before anything trains.

    Raises:
        UserError: there are no such images, none can be drawn for these classes, one is not named as the public ones,
            or the decisions cannot be read.
    """
    if options.conflicts == GLYPHS and images is not None:
        conflicting_glyphs(images.classes, test_per_class=1)
    shown = [] if options.conflicts == GLYPHS else listed(Path(options.conflicts).expanduser())
    if options.observers is not None:
        cues = [cues for name, _ in shown if (cues := cues_of(name)) is not None]
        _observed(options, {word for each in cues for word in (each.shape, each.texture)})


def estimate(examined: Examined, options: Options, run: Run) -> Findings:
    """Let the network decide, and write its decisions beside the result.

    Raises:
        UserError: as `decided`, or an image cannot be read.
    """
    channels, height, _ = examined.subject.input_shape
    with run.session.stage("images"):
        if options.conflicts == GLYPHS:
            shown = conflicting_glyphs(examined.subject.classes, size=height, channels=channels)
        else:
            place, way = Path(options.conflicts).expanduser(), examined.subject.interpolation
            shown = read_cue_conflict(place, height, channels, way)
    findings = decided(examined.subject, shown, options, run)
    write_decisions(run.session.folder / DECISIONS, findings.decisions)
    return findings


def decided(subject: Subject, shown: CueConflict, options: Options, run: Run) -> Findings:
    """Let the network decide on images that are there already, of those whose two cues it knows.

    Raises:
        UserError: the network knows fewer than two of the categories, or no image shows two that it knows.
    """
    members, every = members_of(shown.categories, subject.classes), shown
    if len(members) < len(every.categories):
        shown = every.among(members)
        members = {name: members[name] for name in shown.categories}
        run.session.event(
            f"study.conflicts: the network knows {', '.join(members)} of {len(every.categories)} categories; "
            f"{len(shown.names)} of {len(every.names)} images show two of them, the others are left out"
        )
    with run.session.stage("decisions"):
        logits = torch.cat([
            predict(subject.model, subject.normalise(images), options.batch)
            for images in shown.images.split(options.batch)
        ])  # fmt: skip
    scores = category_scores(logits.double().softmax(1), members, options.rule)
    shape, texture = shown.numbers("shape"), shown.numbers("texture")
    answer = scores.argmax(1).cpu()
    names = shown.categories
    answers = [names[number] for number in answer.tolist()]
    trials = trials_of(answers, shown.cues, names)
    weights = crossed_weights(trials.shape_source, trials.texture_source, resamples=run.resamples, seed=run.seed)
    labels = torch.zeros(len(shown.categories), logits.shape[1], dtype=torch.bool)
    for number, numbers in enumerate(members.values()):
        labels[number, numbers] = True
    decisions = decisions_table(NETWORK, shown.names, answers, [names[number] for number in shape.tolist()])
    observers: dict[str, ShapeBias] = {}
    comparison = None
    if options.observers is not None:
        table = _observed(options, shown.categories)
        comparison = compared(decisions, table, run.session)
        observers = dict(_biases(table, shown, run))
    return Findings(
        shape_bias(trials, weights), sensitivity(logits, labels[shape], labels[texture], weights), decisions, shown,
        observers, comparison,
    )  # fmt: skip


def _observed(options: Options, categories: Collection[str]) -> pd.DataFrame:
    """Others' decisions; of drawn shapes, whose names end in numbers, any word may be a category."""
    known = () if options.conflicts == GLYPHS else {*SIXTEEN, *categories}
    return read_decisions(Path(str(options.observers)).expanduser(), known)


def _biases(table: pd.DataFrame, shown: CueConflict, run: Run) -> Iterator[tuple[str, ShapeBias]]:
    """Of each observer, on the images that are shown here too."""
    images = set(map(identity_of, shown.names))
    seen = table[table["imagename"].map(identity_of).isin(images)]
    if len(seen) < len(table):
        run.session.event(f"study.observers: {len(seen)} of {len(table)} decisions are of the {len(images)} images")
    for name, rows in seen.groupby("subj"):
        answers, cues = conflicts_of(rows)
        trials = trials_of(answers, cues, shown.categories)
        weights = crossed_weights(trials.shape_source, trials.texture_source, resamples=run.resamples, seed=run.seed)
        yield str(name), shape_bias(trials, weights)


def opening(options: Options, subject: str, images: str) -> Opening:
    """What the words mean, and what is done."""
    conflicts = "drawn here" if options.conflicts == GLYPHS else f"from '{Path(options.conflicts).name}'"
    return Opening(
        f"Shape or texture: what does {subject} go by where the two disagree ({images})?",
        "People know things by their shape; networks often by their texture, the pattern of the surface. The network "
        f"is shown images ({conflicts}) that have the shape of one class and the texture of another, such as a cat "
        "with an elephant's skin, and must decide. Shape bias is the share of its decisions for the shape among those "
        "for either; an answer that names neither does not count.",
        terms=TERMS,
    )


def steps(findings: Findings) -> tuple[list[Step], list[Panel]]:
    """Conflicting images, and what they are called by."""
    bias = findings.bias
    boxes = [
        Step("→", "conflicting images", "shape of one class, texture of another", f"{bias.trials:,} images",
             "step_conflicts"),
        Step("→", "called by the shape", "", f"{bias.shape.value:.1%} of them"),
        Step("against", "called by the texture", "", f"{bias.texture.value:.1%} of them"),
    ]  # fmt: skip
    return boxes, [picture("step_conflicts", findings.shown.images)]


def panels(findings: Findings) -> Iterator[Panel]:
    """The ratio with its counts, by category, both sensitivities, other observers, all decisions."""
    bias, observers = findings.bias, {NETWORK: findings.bias, **findings.observers}
    rows = [_row(name, each) for name, each in observers.items()]
    meaning = (
        f"{bias.trials} images whose shape is of one and whose texture is of another of {len(bias.categories)} "
        "categories. Shape bias: decisions for the shape as a share of those for either cue; all others are left out. "
        "No cue used: both together are named no more often than by guessing. 95% intervals resample the pictures that "
        "shapes and textures are from, crossed."
    )
    yield Panel(SECTION, "shape_bias", rows, meaning, dict.fromkeys(("shape_bias", "shape", "texture"), "%"))
    yield _images(findings)
    classes = [
        {"category": category, "observer": name, "shape_bias": value}
        for name, each in observers.items()
        for category, value in zip(each.categories, each.by_category, strict=True)
    ]
    below = "Share of the decisions for a cue that are for the shape; empty where neither cue was named."
    figure = Figure("bars", "shape_bias_by_category", "Shape bias by the shape's category", below, x="category",
                    y="shape_bias", group="observer", percent=True)  # fmt: skip
    yield Panel(SECTION, "shape_bias_by_category", classes, "", {"shape_bias": "%"}, [figure])
    ranks = findings.sensitivity
    cues = [
        {"cue": "shape", **ranks.shape.columns("sensitivity"), "chance": ranks.shape_chance},
        {"cue": "texture", **ranks.texture.columns("sensitivity"), "chance": ranks.texture_chance},
    ]
    yield Panel(SECTION, "cue_sensitivity", cues, "Reciprocal rank of the cue's label among all labels of the network, "
                "less what a random order gives (chance): 0 where the network does not notice the cue.")  # fmt: skip
    if findings.comparison is not None:
        yield observers_panel(SECTION, findings.comparison)
    yield Panel(SECTION, "decisions", findings.decisions, f"Every decision, as in {DECISIONS} beside the result.")


def _images(findings: Findings) -> Panel:
    """Some of the images, with what they are called."""
    shown, count = findings.shown, min(len(findings.decisions), LINE)
    rows = [number * len(findings.decisions) // count for number in range(count)]
    labels = [
        f"{shown.cues[row].shape} / {shown.cues[row].texture} → {findings.decisions[row]['object_response']}"
        for row in rows
    ]
    return sheet("conflicting_images", shown.images[rows], labels, "What the network says of them",
                 "Shape / texture → the network's answer.", SECTION)  # fmt: skip


def _row(name: str, bias: ShapeBias) -> dict[str, Any]:
    return {
        "network": name, **bias.ratio.columns("shape_bias"), **bias.shape.columns("shape"),
        **bias.texture.columns("texture"), "shape_hits": bias.shape_hits, "texture_hits": bias.texture_hits,
        "trials": bias.trials, "no_cue_used": bias.no_cue_used,
    }  # fmt: skip


def verdict(findings: Findings) -> Verdict:
    """The ratio, or that neither cue is used."""
    bias, ranks = findings.bias, findings.sensitivity
    metrics = {"shape_bias": bias.ratio, "shape_decisions": bias.shape, "texture_decisions": bias.texture}
    units = dict.fromkeys(metrics, "%")
    metrics["shape_over_texture_decisions"] = Estimate(bias.shape.value - bias.texture.value)
    units["shape_over_texture_decisions"] = "points"
    metrics |= {"shape_sensitivity": ranks.shape, "texture_sensitivity": ranks.texture}
    if bias.no_cue_used:
        sentence = (
            f"neither cue is used: {bias.shape_hits} decisions for the shape and {bias.texture_hits} for the texture "
            f"of {bias.trials}, no more than by guessing"
        )
        return Verdict(sentence, "no verdict", metrics, units)
    sentence = (
        f"{bias.ratio.value:.1%} of the decisions for a cue are for the shape [{bias.ratio.low:.1%}, "
        f"{bias.ratio.high:.1%}]: {bias.shape_hits} shape, {bias.texture_hits} texture, {bias.trials} images"
    )
    return Verdict(sentence, metrics=metrics, units=units, screen=("shape_bias", "cue_sensitivity"))
