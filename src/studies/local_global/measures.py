"""All instruments on one network: the same images, the same levels, for every network of a dose study."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from src.core.estimate import Estimate
from src.core.shown import Shown
from src.data.cue_conflict import CueConflict
from src.data.image_set import ImageSet
from src.methods.locality.perturbations import Perturbation
from src.methods.locality.reliance import Level, calibrate, reliance
from src.networks.subjects import Subject
from src.report.words import pretty
from src.studies.feature_reliance.options import Options as FeatureReliance
from src.studies.locality import study as locality
from src.studies.locality.answers import Answers, Cell, Stimuli
from src.studies.protocol import Run
from src.studies.relevance.findings import Findings as Relevance
from src.studies.relevance.findings import findings_of as relevance_of
from src.studies.relevance.measures import NETWORK, MapName, checked, maps_of
from src.studies.shape_bias import study as shape_bias


@dataclass(frozen=True)
class Instrument:
    """One number of a network that ought to follow the dose of texture.

    Attributes:
        sign: 1 where it ought to rise with the dose, -1 where it ought to fall.
        meaning: what it says, for a reader.
        none: its value for a network that goes by neither cue.
        title: its name for a reader; nothing: its name.
        family: what it is a way of.
    """

    name: str
    sign: int
    meaning: str
    none: float = 0.0
    title: str = ""
    family: str = ""

    @property
    def said(self) -> str:
        return self.title or self.name


#: families of instruments
CONFLICT, SUPPRESSED, DAMAGED = "shape against texture", "one cue taken away", "damaged images"
MASKED, RELEVANCE = "masked patches", "maps of relevance"
#: operation -> whether accuracy under it ought to rise with the dose
AREAS = {"block_shuffle": 1, "block_rotation": 1, "residual": 1, "high_pass": 1, "smooth": -1, "low_pass": -1}
BIASES = (
    Instrument("shape_bias", -1, "decisions for the shape, of those for shape or texture, where the two disagree", 0.5,
               "shape bias", CONFLICT),
    Instrument("shape_sensitivity", -1, "how high the shape's class is ranked there, beyond chance", 0.0,
               "sensitivity to shape", CONFLICT),
    Instrument("texture_sensitivity", 1, "how high the texture's class is ranked there, beyond chance", 0.0,
               "sensitivity to texture", CONFLICT),
)  # fmt: skip
DROPS = (
    Instrument("shape_drop", -1, "what is lost of the accuracy above chance when shape is suppressed", 0.0,
               "loss without shape", SUPPRESSED),
    Instrument("texture_drop", 1, "what is lost when texture is suppressed", 0.0, "loss without texture", SUPPRESSED),
)  # fmt: skip
#: operation -> its name for a reader
OPERATIONS = {
    "block_shuffle": "blocks shuffled", "block_rotation": "blocks turned", "residual": "fine detail alone",
    "high_pass": "high frequencies alone", "smooth": "smoothed", "low_pass": "low frequencies alone",
    "bilateral": "smoothed between edges", "grayscale": "without colour", "channel_shuffle": "colours exchanged",
}  # fmt: skip


@dataclass(frozen=True)
class Bench(Shown):
    """What all networks are measured with.

    Attributes:
        agreeing: images on which shape, texture and hue all tell the class, perturbed once for all networks.
        conflicting: images with one class's shape and another's texture.
        neutral: images on which the shape alone tells the class.
        explained: those of the agreeing images that relevance is asked about.
        levels: (cue, operation) -> the level at which the operation suppresses its cue alone.
        options: name of a study -> its options.
    """

    agreeing: Stimuli
    conflicting: CueConflict
    neutral: Stimuli
    explained: ImageSet
    levels: Mapping[tuple[str, str], Level]
    options: Mapping[str, Any]


def instruments_of(options: Mapping[str, Any]) -> list[Instrument]:
    """All, in the order of the page; ``options``: of the studies, by name."""
    areas = [
        Instrument(
            f"area_{sweep.name}",
            AREAS[sweep.name],
            "what is kept of the accuracy when images are changed so",
            0.0,
            OPERATIONS[sweep.name],
            DAMAGED,
        )
        for sweep in options["locality"].operations
        if sweep.name in AREAS
    ]
    gaps = [
        Instrument(
            f"interaction_gap_{side}px",
            -1,
            f"how far masked patches of {side} pixels are from adding up",
            0.0,
            f"patches of {side} px",
            MASKED,
        )
        for side in options["locality"].patches
    ]
    outlines = [
        Instrument(f"outline_{method}", -1, "how much relevance is on the outline rather than inside", 0.5,
                   f"{pretty(method)} on outlines", RELEVANCE)
        for method in options["relevance"].methods
    ]  # fmt: skip
    return [*BIASES, *DROPS, *areas, *gaps, *outlines]


@dataclass(frozen=True)
class Measured:
    """One network.

    Attributes:
        values: instrument -> number with its interval over images; NaN where it is not defined for this network.
        clean: accuracy on the agreeing images. neutral: on those that have no texture to go by.
        relevance: maps of some agreeing images, and what the checks say of them.
    """

    values: Mapping[str, Estimate]
    clean: Estimate
    neutral: Estimate
    relevance: Relevance | None = None


def calibrated(
    singles: Mapping[str, Subject], agreeing: Stimuli, options: FeatureReliance, run: Run
) -> dict[tuple[str, str], Level]:
    """Choose each operation's level by networks that know one cue alone.

    Args:
        singles: cue (shape, texture, colour) -> its network.
        agreeing: images on which all cues tell the class.
    """
    answers = {cue: Answers(subject, agreeing, run) for cue, subject in singles.items()}
    clean = {cue: each.clean().accuracy.value for cue, each in answers.items()}
    chance = 1 / max(each.whole.shape[1] for each in answers.values())
    levels = {}
    with run.session.stage("calibration", sum(map(len, options.cues.values()))) as advance:
        for cue, sweeps in options.cues.items():
            for sweep in sweeps:
                accuracies = {
                    name: [
                        each.cell(Perturbation(sweep.name, level, seed=run.seed), options.variants).accuracy.value
                        for level in sweep.levels
                    ]
                    for name, each in answers.items()
                }
                levels[cue, sweep.name] = calibrate(cue, sweep.levels, accuracies, clean, chance)
                advance()
    return levels


def measured(subject: Subject, bench: Bench, run: Run) -> Measured:
    """A network by every instrument."""
    answers = Answers(subject, bench.agreeing, run)
    clean = answers.clean()
    neutral = Answers(subject, bench.neutral, run).clean()
    values = {f"{cue}_drop": _drop(cue, answers, clean, bench, run) for cue in ("shape", "texture", "colour")}
    under = locality.verdict(locality.answered(answers, bench.options["locality"]))
    for name, value in under.metrics.items():
        if name.startswith("interaction_"):
            values[name.replace("interaction_", "interaction_gap_")] = _gap(value)
        values[name] = value
    bias = shape_bias.decided(subject, bench.conflicting, bench.options["shape_bias"], run)
    values |= shape_bias.verdict(bias).metrics
    if bias.bias.no_cue_used:
        values["shape_bias"] = Estimate(math.nan)
    options = bench.options["relevance"]
    maps = maps_of(subject, bench.explained, options, run)
    relevance = relevance_of(maps, checked(subject, maps, options, run), subject.classes, options, run)
    outlines = relevance.checks["outline"]
    values |= {f"outline_{method}": outlines[MapName(method, NETWORK)] for method in options.methods}
    undefined = Estimate(math.nan)
    named = {each.name: values.get(each.name, undefined) for each in instruments_of(bench.options)}
    return Measured({**named, "colour_drop": values["colour_drop"]}, clean.accuracy, neutral.accuracy, relevance)


def _drop(cue: str, answers: Answers, clean: Cell, bench: Bench, run: Run) -> Estimate:
    """The mean over the operations that suppress this cue alone; NaN where there is none, or nothing is known."""
    chosen = {name: level.level for (of, name), level in bench.levels.items() if of == cue and level.admitted}
    chance = 1 / answers.whole.shape[1]
    if not chosen or clean.accuracy.low <= chance:
        return Estimate(math.nan)
    variants = bench.options["feature_reliance"].variants
    cells = [
        answers.cell(Perturbation(name, level, seed=run.seed), variants)
        for name, level in chosen.items()
        if level is not None
    ]
    # all operations together, image by image: their interval is that of one mean
    suppressed = torch.stack([cell.right for cell in cells]).mean(0)
    return reliance(clean.right, suppressed, chance, answers.weights).drop


def _gap(ratio: Estimate) -> Estimate:
    """|log2| of a ratio: 0 where the parts add up, 1 where sum and whole differ by a factor of two."""
    if not ratio.value > 0:
        return Estimate(math.nan)
    return Estimate(abs(math.log2(ratio.value)), n=ratio.n, unit=ratio.unit)
