"""The study of locality: what a network still knows of images that are scrambled, masked, smoothed, filtered."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from src.artifacts.examined_subject import Examined
from src.artifacts.opening import PICTURED, picture, sheet
from src.core.estimate import Estimate
from src.core.result import Figure, Opening, Panel, Step, Verdict
from src.core.shown import Shown
from src.data.image_set import ImageSet
from src.methods.locality.grids import patch_masks
from src.methods.locality.interaction import Interaction
from src.methods.locality.perturbations import Perturbation
from src.methods.locality.reliance import area
from src.studies.images import fewer_images
from src.studies.locality.answers import Answers, Cell, Stimuli, at_strongest, check_perturbations
from src.studies.locality.options import Options
from src.studies.protocol import Run

SECTION = "Local against global"
TERMS = {
    "clean_accuracy": "Accuracy on test images as they are.",
    "area": "Share of the accuracy above guessing that is kept, averaged over an operation's levels.",
    "operation": "What is done to the images.",
    "level": "How strong the operation is, in its own unit.",
    "step": "0 is the image as it is, then the operation's levels from the weakest on.",
    "probability": "What the network gives the true class.",
    "ratio": "What masking patches one at a time costs, summed, over what masking them at once costs; 1 where each "
    "counts by itself.",
    "patch": "A square part of the image; its side in pixels.",
    "sum_of_singles": "What masking the patches one at a time takes from the true class's score, summed.",
    "together": "What masking them all at once takes from it.",
}


@dataclass(frozen=True)
class Findings(Shown):
    """What the study finds of one network.

    Attributes:
        clean: of the images as they are.
        cells: by operation and level.
        areas: operation -> area under its curve of accuracy, from the whole image on; 1: nothing is lost.
        interactions: side of the patches in pixels -> what masking them costs.
        chance: accuracy of guessing.
        images: how many.
        preview: uint8 (rows, images, C, H, W), a row for the images as they are and for each operation's last level.
        shown: the rows' names.
    """

    clean: Cell
    cells: tuple[Cell, ...]
    areas: dict[str, float]
    interactions: dict[int, Interaction]
    chance: float
    images: int
    preview: Tensor = field(default_factory=lambda: torch.zeros(0, 0))
    shown: tuple[str, ...] = ()


def check(options: Options, images: ImageSet | None) -> None:
    """Refuse what can be refused before anything trains.

    Raises:
        UserError: an operation is unknown, cannot take a level, does not fit the images or needs masks.
    """
    if images is None:
        return
    check_perturbations(_perturbations(options, seed=0), images)
    height, width = images.images.shape[2:]
    for side in options.patches:
        patch_masks(height, width, side, "checker")


def estimate(examined: Examined, options: Options, run: Run) -> Findings:
    """Predict the images as they are and under every perturbation."""
    test = fewer_images(examined.test, options.images, run.session)
    device = next(examined.subject.model.parameters()).device
    findings = answered(Answers(examined.subject, Stimuli(test, options.batch, device), run), options)
    preview, names = at_strongest(test, options.operations, options.pictures, run.seed, options.region)
    return replace(findings, preview=preview, shown=names)


def answered(answers: Answers, options: Options) -> Findings:
    """What one network's answers come to, without pictures."""
    run = answers.run
    clean = answers.clean()
    cells = []
    sweeps = _perturbations(options, run.seed)
    with run.session.stage("perturbations", len(sweeps) + len(options.patches)) as advance:
        for perturbation in sweeps:
            cells.append(answers.cell(perturbation, options.variants))
            advance()
        interactions = {}
        for side in options.patches:
            interactions[side] = answers.interaction(side, options.fill)
            advance()
    chance = 1 / answers.whole.shape[1]
    curves: dict[str, list[Cell]] = {}
    for cell in cells:
        curves.setdefault(cell.operation, []).append(cell)
    areas = {
        name: area(range(1 + len(curve)), [clean.accuracy.value, *(cell.accuracy.value for cell in curve)], chance)
        for name, curve in curves.items()
    }
    return Findings(clean, tuple(cells), areas, interactions, chance, len(answers.labels))


def opening(options: Options, subject: str, images: str) -> Opening:
    """What the words mean, and what is done."""
    areas = {
        f"area_{sweep.name}": f"Share of the accuracy above guessing that is kept under {_said(sweep.name)}."
        for sweep in options.operations
    }
    ratios = {
        f"interaction_{side}px": f"Of patches of {side} pixels: what masking them one at a time costs, summed, over "
        "what masking them at once costs; 1 where each counts by itself."
        for side in options.patches
    }
    return Opening(
        f"Does {subject} see the whole or only the parts ({images})?",
        "A network can know an object by its whole (its global form), or by small parts wherever these lie (local "
        "features such as texture). Test images are scrambled in blocks, smoothed, filtered and masked, from weakly to "
        "strongly, and the network is asked about each. What it still gets right says which of the two it goes by.",
        terms=TERMS | areas | ratios,
    )


def steps(findings: Findings) -> tuple[list[Step], list[Panel]]:
    """Whole images, and what is kept under the first operations."""
    boxes, pictures = [], []
    for number, (name, kept) in enumerate(list(findings.areas.items())[:3], 1):
        shown = f"step_{name}" if findings.preview.numel() else ""
        value = "–" if math.isnan(kept) else f"keeps {kept:.0%}"
        boxes.append(Step("→" if number == 1 else "", _said(name), "over all its levels", value, shown))
        pictures += [picture(shown, findings.preview[number])] if shown else []
    whole = Step("against", "whole images", "as they are", f"{findings.clean.accuracy.value:.1%} right")
    return [*boxes, whole], pictures


def _said(operation: str) -> str:
    return operation.replace("_", " ")


def panels(findings: Findings) -> Iterator[Panel]:
    """Curves, their areas, what masked patches cost, and the images themselves."""
    rows = []
    for name in findings.areas:
        curve = [findings.clean, *(cell for cell in findings.cells if cell.operation == name)]
        rows += [
            {"operation": name, "step": step, **cell.accuracy.columns("accuracy"),
             "level": cell.level if step else None, **cell.probability.columns("probability")}
            for step, cell in enumerate(curve)
        ]  # fmt: skip
    caption = (
        f"{findings.images} test images; 95% intervals over images, each image's answers averaged over the draws. "
        f"Step 0 is the images as they are, then each level in turn. Probability: of the true class. Guessing: "
        f"{findings.chance:.1%}. block_borders is the control of block_shuffle: the same new borders, every block in "
        "its place."
    )
    figure = Figure("lines", "perturbed", "Accuracy under perturbations", "Step 0: the images as they are; then each "
                    "operation's levels, weakest first.", x="step", y="accuracy", group="operation",
                    percent=True)  # fmt: skip
    yield Panel(SECTION, "perturbed", rows, caption, {"accuracy": "%", "probability": "%"}, [figure])
    areas = [{"operation": name, "area": value} for name, value in findings.areas.items()]
    yield Panel(SECTION, "perturbation_areas", areas, "Area under the curve of accuracy from the whole image to the "
                "strongest level, chance taken off: 100% where nothing is lost.", {"area": "%"})  # fmt: skip
    if findings.interactions:
        costs = [
            {"patch": side, **cost.ratio.columns("ratio"), "patches": cost.patches, "area": cost.area,
             **cost.sum_of_singles.columns("sum_of_singles"), **cost.together.columns("together")}
            for side, cost in findings.interactions.items()
        ]  # fmt: skip
        meaning = (
            "Patches of so many pixels' side, far apart, masked one at a time and all at once: what that takes from "
            "the true class's logit. Ratio: the sum of the single ones over all at once; 1 where the parts count each "
            "by itself, as in a bag of local features; below 1 where they stand in for one another. Area: masked."
        )
        below = "Patch: side in pixels. Ratio: 1 where the parts count each by itself."
        figures = [Figure("lines", "interaction", "Do the parts add up?", below, x="patch", y="ratio")]
        yield Panel(SECTION, "interaction", costs, meaning, {"area": "%"}, figures)
    if findings.preview.numel():
        yield perturbed_panel(SECTION, findings.preview, findings.shown)


def perturbed_panel(section: str, preview: Tensor, names: Sequence[str]) -> Panel:
    """Images uint8 (rows, images, C, H, W) as they are and under operations, by name."""
    few = max(1, min(preview.shape[1], PICTURED // len(preview)))
    labels = [_said(name) for name in names for _ in range(few)]
    return sheet("perturbed_images", preview[:, :few].flatten(0, 1), labels, "What the network sees",
                 "Each operation at its strongest level.", section, few)  # fmt: skip


def verdict(findings: Findings) -> Verdict:
    """Accuracy on whole images and areas under the curves; ratios of the interaction."""
    metrics = {f"area_{name}": Estimate(value) for name, value in findings.areas.items()}
    metrics |= {f"interaction_{side}px": cost.ratio for side, cost in findings.interactions.items()}
    metrics["clean_accuracy"] = findings.clean.accuracy
    units = {name: "%" for name in metrics if not name.startswith("interaction")}
    known = findings.clean.accuracy.low > findings.chance
    if not known:
        sentence = f"no better than guessing on whole images ({findings.clean.accuracy.value:.1%}): nothing can be lost"
        return Verdict(sentence, "no verdict", {"clean_accuracy": findings.clean.accuracy}, {"clean_accuracy": "%"})
    kept = ", ".join(f"{name} {value:.0%}" for name, value in findings.areas.items())
    sentence = f"{findings.clean.accuracy.value:.1%} of whole images right; of that is kept under {kept}"
    return Verdict(sentence, metrics=metrics, units=units, screen=("perturbed", "interaction"))


def _perturbations(options: Options, seed: int) -> list[Perturbation]:
    return [
        Perturbation(sweep.name, level, 0, seed, options.region)
        for sweep in options.operations
        for level in sweep.levels
    ]
