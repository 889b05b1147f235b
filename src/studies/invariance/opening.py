"""How the page of networks trained with and without transformed images begins, in plain words."""

from src.artifacts.opening import images_said, network_said, with_article
from src.core.result import Opening, Panel, Step
from src.studies.invariance.findings import AUGMENTED, PLAIN, UNTRAINED, Findings
from src.studies.invariance.options import Invariance, Options
from src.studies.invariance.study import transformed_picture
from src.studies.invariance.words import NV, WAYS, comparison_terms, does, family_of, rights, ways_of


def opening(options: Invariance, study: Options) -> Opening:
    """Before anything trains."""
    doing, said = does(options.transformation), with_article(network_said(options.recipe["model"]))
    ways = " ".join(f"{NV[way]}: {WAYS[way]}." for way in ways_of(study))
    alike = " They are compared when both are right as often on images as they are." if options.match_accuracy else ""
    return Opening(
        f"Does training on images changed by {family_of(options.transformation)} make {said} invariant to it inside "
        f"({images_said(options.recipe['data'])})?",
        f"Two networks learn the same classes: the plain one from images as they are, the augmented one from images "
        f"changed by {doing}. A layer is invariant to that if its numbers, the units, stay as they are. Variability "
        "(NV) is the spread of each unit over transformations, divided by its spread between images: 0 is invariant, 1 "
        f"is as variable as between different images. {ways}{alike} "
        "95% intervals are over the test images of this one training; another may differ by more: behind the command, "
        "-m and seed=0,1,2 train three and give intervals over trainings.",
        terms=comparison_terms(study),
    )


def steps(findings: Findings) -> tuple[list[Step], list[Panel]]:
    """The drawing of what was done, and its picture."""
    moves, pictures = findings.transformations, transformed_picture(findings)
    way = next(iter(findings.networks[0].variability))
    texts = {
        PLAIN: ("plain network", "learned from images as they are"),
        AUGMENTED: ("augmented network", "learned from transformed images"),
        UNTRAINED: ("untrained network", "a control with random weights"),
    }
    boxes = [Step("", "transformed images", f"{findings.images:,} test images, {len(moves)} transformations each",
                  family_of({"family": moves.family}), "step_transformed")]  # fmt: skip
    for network in findings.shown:
        if network.role in texts:
            title, text = texts[network.role]
            value = f"{NV[way]} {network.variability[way].mean.value:.2f}"
            if network.role != UNTRAINED:
                text += f"; right: {rights(network)}"
            boxes.append(Step("→" if network.role == PLAIN else "against", title, text, value))
    return boxes, pictures
