"""The study of shape bias: what is decided where shape and texture disagree, and how others decide there."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from src.artifacts.examined_subject import Examined
from src.core.estimate import Estimate
from src.core.result import Figure, Panel, Verdict
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


@dataclass(frozen=True)
class Findings(Shown):
    """What the study finds of one network.

    Attributes:
        bias: counts and their ratio. sensitivity: to each cue, by ranks over all labels.
        decisions: a row per trial, in the public columns.
        observers: counts and ratios of others, by the same function, on the images that both saw.
        comparison: how alike the network and the others err, or None.
    """

    bias: ShapeBias
    sensitivity: Sensitivity
    decisions: list[dict[str, Any]]
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
        shape_bias(trials, weights), sensitivity(logits, labels[shape], labels[texture], weights), decisions,
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
