"""The study of feature reliance: what is lost when shape, texture or colour alone is suppressed.

Burgert et al. (NeurIPS 2025, arXiv:2509.20234): drop = (clean - suppressed) / (clean - chance).
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from src.artifacts.examined_subject import Examined
from src.artifacts.opening import picture
from src.core.estimate import Estimate
from src.core.result import Figure, Opening, Panel, Step, Verdict
from src.core.shown import Shown
from src.data.image_set import ImageSet
from src.methods.locality.perturbations import Perturbation
from src.methods.locality.reliance import Reliance, reliance
from src.studies.feature_reliance.options import Options
from src.studies.images import fewer_images
from src.studies.locality.answers import Answers, Stimuli, at_strongest, check_perturbations
from src.studies.locality.study import perturbed_panel
from src.studies.protocol import Run

SECTION = "Feature reliance"
SHOWN = 3  # images under each operation
TERMS = {
    "clean_accuracy": "Accuracy on test images as they are.",
    "reliance_shape": "Share of what the network knew that is lost without shape.",
    "reliance_texture": "Share of what the network knew that is lost without texture.",
    "reliance_colour": "Share of what the network knew that is lost without colour.",
    "shape_over_texture": "What is lost without shape minus what is lost without texture.",
    "cue": "What an image can be recognised by: shape, texture or colour.",
    "operation": "What is done to an image to take a cue away.",
    "lost": "Share of the accuracy above guessing that is lost without the cue.",
    "drop": "Share of the accuracy above guessing that is lost at this level.",
    "level": "How strong the operation is, in its own unit.",
    "step": "0 is the image as it is, then the operation's levels from the weakest on.",
}


@dataclass(frozen=True)
class Suppression:
    """One operation of a cue: its levels, weakest first, and what is lost at each of them."""

    cue: str
    operation: str
    levels: tuple[float, ...]
    losses: tuple[Reliance, ...]


@dataclass(frozen=True)
class Findings(Shown):
    """What the study finds of one network.

    Attributes:
        clean: accuracy on whole images.
        by_cue: cue -> the share of what the network knew that is lost, averaged over the levels of each operation
            (trapezoids, from whole images on) and over its operations.
        chance: accuracy of guessing.
        images: how many. preview, shown: as of :class:`src.studies.locality.study.Findings`.
    """

    clean: Estimate
    suppressions: tuple[Suppression, ...]
    by_cue: Mapping[str, Estimate]
    chance: float
    images: int
    preview: Tensor = field(default_factory=lambda: torch.zeros(0, 0))
    shown: tuple[str, ...] = ()


def check(options: Options, images: ImageSet | None) -> None:
    """Refuse what can be refused before anything trains.

    Raises:
        UserError: an operation is unknown, cannot take a level, does not fit the images or needs masks.
    """
    if images is not None:
        sweeps = [sweep for several in options.cues.values() for sweep in several]
        check_perturbations((Perturbation(sweep.name, level) for sweep in sweeps for level in sweep.levels), images)


def estimate(examined: Examined, options: Options, run: Run) -> Findings:
    """Predict the images as they are and with each cue suppressed."""
    test = fewer_images(examined.test, options.images, run.session)
    device = next(examined.subject.model.parameters()).device
    answers = Answers(examined.subject, Stimuli(test, options.batch, device), run)
    chance = 1 / len(test.classes)
    clean = answers.clean()
    suppressions, by_cue = [], {}
    steps = sum(len(sweep.levels) for sweeps in options.cues.values() for sweep in sweeps)
    with run.session.stage("suppression", steps) as advance:
        for cue, sweeps in options.cues.items():
            averages = []
            for sweep in sweeps:
                curve, losses = [clean.right], []
                for level in sweep.levels:
                    cell = answers.cell(Perturbation(sweep.name, level, seed=run.seed), options.variants)
                    losses.append(reliance(clean.right, cell.right, chance, answers.weights))
                    curve.append(cell.right)
                    advance()
                suppressions.append(Suppression(cue, sweep.name, sweep.levels, tuple(losses)))
                averages.append(torch.trapezoid(torch.stack(curve), dim=0) / len(losses))
            average = torch.stack(averages).mean(0)  # the drop is linear, so that its average is that of the averages
            by_cue[cue] = reliance(clean.right, average, chance, answers.weights).drop
    every = [sweep for several in options.cues.values() for sweep in several]
    preview, names = at_strongest(test, every, SHOWN, run.seed)
    return Findings(clean.accuracy, tuple(suppressions), by_cue, chance, len(test), preview, names)


def opening(options: Options, subject: str, images: str) -> Opening:
    """What the words mean, and what is done."""
    return Opening(
        f"Does {subject} go by shape, by texture or by colour ({images})?",
        "An image can be recognised by its shape, by its texture (the pattern of its surface) and by its colour. One "
        "of these cues at a time is taken from the test images: cut into blocks that change places they have no shape, "
        "smoothed no texture, grey no colour. What the network relies on is what it cannot do without: the share of "
        "its accuracy above guessing that is lost.",
        terms=TERMS,
    )


def steps(findings: Findings) -> tuple[list[Step], list[Panel]]:
    """What is right as it is, and lost without each cue."""
    ways = {cue: [each.operation for each in findings.suppressions if each.cue == cue] for cue in findings.by_cue}
    first = [each.cue for each in findings.suppressions]
    pictures = [picture(f"step_{cue}", findings.preview[1 + first.index(cue)])
                for cue in findings.by_cue if findings.preview.numel()]  # fmt: skip
    boxes = [
        Step("→" if cue == "shape" else "", f"without {cue}", "by " + " and ".join(ways[cue]).replace("_", " "),
             "–" if math.isnan(lost.value) else f"loses {lost.value:.0%}", f"step_{cue}" if pictures else "")
        for cue, lost in findings.by_cue.items()
    ]  # fmt: skip
    return [*boxes, Step("against", "whole images", "as they are", f"{findings.clean.value:.1%} right")], pictures


def panels(findings: Findings) -> Iterator[Panel]:
    """What each cue costs, and the curves behind it."""
    cues = [{"cue": cue, **lost.columns("lost")} for cue, lost in findings.by_cue.items()]
    meaning = (
        "The share of what the network knew (its accuracy above guessing) that is lost when a cue is suppressed, "
        "averaged over the levels of each operation and over its operations. Levels of different cues cannot be "
        "matched by eye: compare networks within a cue, and read the curves below. 95% intervals over images."
    )
    figure = Figure("bars", "reliance", "What the network relies on", x="cue", y="lost", percent=True)
    yield Panel(SECTION, "reliance", cues, meaning, {"lost": "%"}, [figure])
    rows = []
    for each in findings.suppressions:
        whole = Reliance(Estimate(0.0, 0.0, 0.0, findings.images, "images"), findings.clean)
        rows += [
            {"operation": each.operation, "step": step, **loss.drop.columns("drop"),
             **loss.accuracy.columns("accuracy"), "level": level, "cue": each.cue}
            for step, (level, loss) in enumerate(zip((None, *each.levels), (whole, *each.losses), strict=True))
        ]  # fmt: skip
    caption = (
        f"{findings.images} test images, {findings.clean.value:.1%} of them right as they are; guessing: "
        f"{findings.chance:.1%}. Drop: (clean - suppressed) / (clean - guessing), 100% where nothing is left; "
        "95% intervals over images. Step 0 is the images as they are, then each level in turn."
    )
    figures = [
        Figure("lines", "suppressed", "Drop by operation", "Step 0: the images as they are; then each operation's "
               "levels, weakest first.", x="step", y="drop", group="operation", percent=True)
    ]  # fmt: skip
    yield Panel(SECTION, "suppressed", rows, caption, {"accuracy": "%", "drop": "%"}, figures)
    if findings.preview.numel():
        yield perturbed_panel(SECTION, findings.preview, findings.shown)


def verdict(findings: Findings) -> Verdict:
    """What is lost of each cue, the greatest first."""
    metrics = {f"reliance_{cue}": lost for cue, lost in findings.by_cue.items()}
    metrics["shape_over_texture"] = Estimate(findings.by_cue["shape"].value - findings.by_cue["texture"].value)
    metrics["clean_accuracy"] = findings.clean
    units = {**dict.fromkeys(metrics, "%"), "shape_over_texture": "points"}
    if findings.clean.low <= findings.chance or any(math.isnan(lost.value) for lost in findings.by_cue.values()):
        sentence = f"no better than guessing on whole images ({findings.clean.value:.1%}): nothing can be lost"
        return Verdict(sentence, "no verdict", {"clean_accuracy": findings.clean}, {"clean_accuracy": "%"})
    ranked = sorted(findings.by_cue.items(), key=lambda pair: -pair[1].value)
    said = ", ".join(f"{lost.value:.0%} without {cue}" for cue, lost in ranked)
    sentence = f"{findings.clean.value:.1%} right; of what it knows the network loses {said}"
    return Verdict(sentence, metrics=metrics, units=units, screen=("reliance", "suppressed"))
