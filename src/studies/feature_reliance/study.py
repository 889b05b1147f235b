"""The study of feature reliance: what is lost when shape, texture or colour alone is suppressed.

Burgert et al. (NeurIPS 2025, arXiv:2509.20234): drop = (clean - suppressed) / (clean - chance).
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from statistics import fmean

from src.artifacts.examined_subject import Examined
from src.core.estimate import Estimate
from src.core.result import Figure, Panel, Verdict
from src.data.image_set import ImageSet
from src.methods.locality.perturbations import Perturbation
from src.methods.locality.reliance import Reliance, area, reliance
from src.studies.feature_reliance.options import Options
from src.studies.images import fewer_images
from src.studies.locality.answers import Answers, Stimuli, check_perturbations
from src.studies.protocol import Run

SECTION = "Feature reliance"


@dataclass(frozen=True)
class Suppression:
    """One operation of a cue.

    Attributes:
        levels: weakest first. losses: at each of them.
        lost: the share of what the network knew that is lost, averaged over the levels (trapezoids, from whole images).
    """

    cue: str
    operation: str
    levels: tuple[float, ...]
    losses: tuple[Reliance, ...]
    lost: float


@dataclass(frozen=True)
class Findings:
    """``clean``: accuracy on whole images. ``chance``: of guessing. ``images``: how many."""

    clean: Estimate
    suppressions: tuple[Suppression, ...]
    chance: float
    images: int

    @property
    def by_cue(self) -> Mapping[str, float]:
        """Cue -> mean over its operations of what each loses."""
        cues = dict.fromkeys(each.cue for each in self.suppressions)
        return {cue: fmean(each.lost for each in self.suppressions if each.cue == cue) for cue in cues}


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
    suppressions = []
    steps = sum(len(sweep.levels) for sweeps in options.cues.values() for sweep in sweeps)
    with run.session.stage("suppression", steps) as advance:
        for cue, sweeps in options.cues.items():
            for sweep in sweeps:
                losses = []
                for level in sweep.levels:
                    cell = answers.cell(Perturbation(sweep.name, level, seed=run.seed), options.variants)
                    losses.append(reliance(clean.right, cell.right, chance, answers.weights))
                    advance()
                kept = [clean.accuracy.value, *(loss.accuracy.value for loss in losses)]
                lost = 1 - area(range(len(kept)), kept, chance)
                suppressions.append(Suppression(cue, sweep.name, sweep.levels, tuple(losses), lost))
    return Findings(clean.accuracy, tuple(suppressions), chance, len(test))


def panels(findings: Findings) -> Iterator[Panel]:
    """What each cue costs, and the curves behind it."""
    cues = [{"cue": cue, "lost": lost} for cue, lost in findings.by_cue.items()]
    told = (
        "The share of what the network knew (its accuracy above guessing) that is lost when a cue is suppressed, "
        "averaged over the levels of each operation and over its operations. Levels of different cues cannot be "
        "matched by eye: compare networks within a cue, and read the curves below."
    )
    figure = Figure("bars", "reliance", "What the network relies on", x="cue", y="lost", percent=True)
    yield Panel(SECTION, "reliance", cues, told, {"lost": "%"}, [figure])
    rows = []
    for each in findings.suppressions:
        whole = Reliance(Estimate(0.0, 0.0, 0.0, findings.images, "images"), findings.clean)
        rows += [
            {"cue": each.cue, "operation": each.operation, "step": step, "level": level,
             **loss.accuracy.columns("accuracy"), **loss.drop.columns("drop")}
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


def verdict(findings: Findings) -> Verdict:
    """What is lost of each cue, the greatest first."""
    metrics = {"clean_accuracy": findings.clean}
    metrics |= {f"reliance_{cue}": Estimate(lost) for cue, lost in findings.by_cue.items()}
    metrics["shape_over_texture"] = Estimate(findings.by_cue["shape"] - findings.by_cue["texture"])
    units = {**dict.fromkeys(metrics, "%"), "shape_over_texture": "points"}
    if findings.clean.low <= findings.chance or any(map(math.isnan, findings.by_cue.values())):
        sentence = f"no better than guessing on whole images ({findings.clean.value:.1%}): nothing can be lost"
        return Verdict(sentence, "no verdict", {"clean_accuracy": findings.clean}, {"clean_accuracy": "%"})
    ranked = sorted(findings.by_cue.items(), key=lambda pair: -pair[1])
    said = ", ".join(f"{lost:.0%} without {cue}" for cue, lost in ranked)
    sentence = f"{findings.clean.value:.1%} right; of what it knows the network loses {said}"
    return Verdict(sentence, metrics=metrics, units=units, screen=("reliance", "suppressed"))
