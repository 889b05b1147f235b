"""The study of invariance for one network, wherever it comes from."""

from collections.abc import Iterator

import torch

from src.artifacts.examined_subject import Examined
from src.artifacts.network import untrained_like
from src.artifacts.opening import picture
from src.core.estimate import Estimate
from src.core.result import Opening, Panel, Step, Verdict
from src.data.image_set import ImageSet
from src.imageops.transformations import transformation_set
from src.studies.invariance import panels as shown
from src.studies.invariance.estimates import findings_of
from src.studies.invariance.findings import ACCURACIES, EXAMINED, UNTRAINED, Findings
from src.studies.invariance.images import chosen_images, exchanged
from src.studies.invariance.measured import examine
from src.studies.invariance.options import Options
from src.studies.invariance.words import (
    NV,
    WAYS,
    does,
    family_of,
    key_of,
    least_untrained,
    rights,
    terms,
    ways_of,
)
from src.studies.protocol import Run


def check(options: Options, images: ImageSet | None) -> None:
    """Refuse what can be refused before anything trains.

    Raises:
        UserError: the transformation is none; the images do not fit.
    """
    transformation_set(options.transformation)
    if images is not None:
        exchanged(options, chosen_images(images, options.images_per_class).classes)


def estimate(examined: Examined, options: Options, run: Run) -> Findings:
    """Measure a network, and the same with random weights.

    Raises:
        UserError: an option does not fit the network or its images.
    """
    transformations = transformation_set(options.transformation)
    images = chosen_images(examined.test, options.images_per_class, run.session)
    exchanged(options, images.classes)
    measured = [examine(EXAMINED, examined.subject, images, transformations, options, run)]
    if options.untrained:
        untrained = untrained_like(examined.subject, images, run.seed, run.session)
        if untrained is not None:
            measured.append(examine(UNTRAINED, untrained, images, transformations, options, run))
    return findings_of(measured, images, transformations, options, run)


def opening(options: Options, subject: str, images: str) -> Opening:
    """What the words mean, and what is done."""
    doing = does(options.transformation)
    ways = " ".join(f"{NV[way]}: {WAYS[way]}." for way in ways_of(options))
    untrained = " The same is asked of the network with random weights." if options.untrained else ""
    return Opening(
        f"How invariant to {family_of(options.transformation)} is each layer of {subject} ({images})?",
        f"A layer is invariant to {doing} if its numbers, the units, stay as they are. Every test image is shown under "
        "each transformation, and the spread of each unit over transformations is divided by its spread between "
        f"images (variability, NV): 0 is invariant, 1 is as variable as between different images. {ways}{untrained} "
        "95% intervals are over the test images of this one network.",
        terms=terms(options),
    )


def steps(findings: Findings) -> tuple[list[Step], list[Panel]]:
    """Transformed images, what is still right, and how much layers vary."""
    network, moves = findings.networks[0], findings.transformations
    way, variability = next(iter(network.variability.items()))
    boxes = [
        Step("→", "transformed images", f"each under {len(moves)} transformations ({moves.family})",
             f"{network.transformed_accuracy.value:.1%} of them right", "step_transformed"),
        Step("→", "variability of its layers", "0 is invariant", f"{NV[way]} {variability.mean.value:.2f}"),
    ]  # fmt: skip
    for other in findings.shown:
        if other.role == UNTRAINED:
            level = other.variability[way].mean.value
            boxes.append(Step("against", "untrained network", "the same with random weights", f"{NV[way]} {level:.2f}"))
    return boxes, transformed_picture(findings)


def transformed_picture(findings: Findings) -> list[Panel]:
    """One image under some transformations, where maps are shown at all."""
    if findings.maps is None:
        return []
    moved = (255 * findings.maps.moved).round().clamp(0, 255).to(torch.uint8)
    return [picture("step_transformed", moved[:, None])]


def panels(findings: Findings) -> Iterator[Panel]:
    """All that is shown."""
    return shown.panels(findings)


def verdict(findings: Findings) -> Verdict:
    """How much the network varies, and how much of it it classifies right."""
    network = findings.networks[0]
    metrics: dict[str, Estimate] = {}
    more: dict[str, Estimate] = {}
    parts = []
    for way, variability in network.variability.items():
        key = f"nv_{key_of(way)}"
        metrics[key] = variability.mean
        more[f"{key}_stratified"] = Estimate(variability.over_layers_stratified)
        more[f"{key}_units"] = Estimate(variability.over_units)
        parts.append(f"{variability.mean.value:.2f} ({NV[way]})")
    metrics |= network.shares | more
    sentence = (
        f"Under {family_of({'family': findings.transformations.family})} its layers vary {' or '.join(parts)} times as "
        "much as between images; 0 would be invariant. "
        f"Right are {rights(network)}{least_untrained(findings)}."
    )
    return Verdict(sentence, metrics=metrics, units=dict.fromkeys(ACCURACIES, "%"), screen=["networks"])
