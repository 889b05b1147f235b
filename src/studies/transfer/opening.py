"""How the page of a transfer of experts begins, in plain words."""

from collections.abc import Sequence

from src.artifacts.opening import images_said, picture
from src.core.result import Opening, Panel, Step
from src.data.datamodule import ImageData
from src.studies.transfer.few_images import SCRATCH, WARM, TargetFindings
from src.studies.transfer.options import Transfer
from src.studies.transfer.tree import TreeFindings

TERMS = {
    "expert": "A small network that decides between the classes of one group.",
    "router": "A small network that decides between groups of classes, above the experts.",
    "warm start": "Trained on from the expert's weights.",
    "from scratch": "Trained from random weights.",
    "zero shot": "The expert as it is, on images of the other look.",
    "gain": "Accuracy of the warm start minus that from scratch.",
    "over_zero_shot": "Accuracy of the warm start minus that of the expert as it is; below 0 the images did harm.",
    "warm_accuracy": "Accuracy of the experts trained on from their weights.",
    "scratch_accuracy": "Accuracy of networks trained from random weights on the same images.",
    "zero_shot_accuracy": "Accuracy of the experts as they are on images of the other look.",
    "source_accuracy": "Accuracy of the experts on test images of the look that they were trained on.",
    "source_tree_accuracy": "Accuracy of the whole network in the tree that the experts were trained for.",
    "moved_accuracy": "Accuracy of the whole network in the other tree, with the experts that were there.",
    "moved_against_anew": "The same minus that with new experts.",
    "against_anew": "Accuracy minus that with new experts below the same routers.",
    "moving_saves": "Share of the other tree's training that is saved because experts are kept.",
    "moved": "Modules that were there already.",
    "trained": "Modules that were trained for this tree.",
    "images_per_class": "Training images of each class of the other look.",
}


def opening(options: Transfer, sizes: Sequence[int]) -> Opening:
    """Before anything trains; ``sizes``: training images per class of the other look."""
    said, few = images_said(options.data), f"{min(sizes)} to {max(sizes)}" if len(sizes) > 1 else str(sizes[0])
    return Opening(
        f"Are trained experts worth keeping: under other routers, and for images of another look ({said})?",
        "A network of modules has routers, which decide between groups of classes, and experts, which decide within a "
        "group. First the experts are moved below the routers of another tree of classes, against new experts there. "
        f"Then they meet images of another look, and learn on from {few} images per class (warm start), against "
        "networks that begin with random weights (from scratch).",
        terms=TERMS,
    )


def steps(
    trees: TreeFindings, target: TargetFindings, source: ImageData, other: ImageData
) -> tuple[list[Step], list[Panel]]:
    """The drawing of what was done, and its pictures."""
    least, moved = target.sizes[0], trees.networks["moved"]
    boxes = [
        Step("", "experts and routers", "one small network per node of a tree of classes",
             f"{trees.networks['source'].accuracy.value:.1%} right", "step_source"),
        Step("→", "experts in another tree", f"{moved.moved} modules kept, {moved.trained} new",
             f"{moved.accuracy.value:.1%} right"),
        Step("→", "experts on another look", "as they are", f"{target.zero_shot.value:.1%} right", "step_target"),
        Step("+", "warm start", f"{least} images per class", f"{target.few[WARM, least].value:.1%} right"),
        Step("against", "from scratch", f"the same {least} images per class",
             f"{target.few[SCRATCH, least].value:.1%} right"),
    ]  # fmt: skip
    pictures = [picture("step_source", source.sets["test"].images), picture("step_target", other.sets["test"].images)]
    return boxes, pictures
