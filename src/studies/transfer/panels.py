"""What a transfer of experts did, in tables, figures and a sentence."""

from collections.abc import Iterator, Mapping
from typing import Any

from src.core.estimate import Estimate, columns_of
from src.core.result import Figure, Panel, Verdict
from src.studies.transfer.few_images import SCRATCH, STARTS, WARM, TargetFindings
from src.studies.transfer.tree import Arrangement, TreeFindings

TREES, TARGET = "Another tree", "Another data set"
NAMES: Mapping[Arrangement, str] = {
    "source": "source tree",
    "moved": "other tree, experts moved",
    "anew": "other tree, experts anew",
}


def tree_panel(findings: TreeFindings) -> Panel:
    """Accuracy in both trees, and what their modules cost."""
    rows = [
        {
            "network": NAMES[name],
            **columns_of(network, "cost"),
            "steps": network.cost.steps,
            "training_macs": network.cost.macs / 1e9,
            "training_seconds": network.cost.seconds,
        }
        for name, network in findings.networks.items()
    ]
    return Panel(
        TREES,
        "trees",
        rows,
        "The same experts below other routers: an expert learns from the images below its node, whatever is above it, "
        "so the store gives the one that is there. Anew: experts from another seed below the same routers. Trained: "
        "modules that the tree needed beside those that were there; steps, multiply-adds (three forward passes per "
        "training image seen) and seconds are theirs. On test images; intervals are over images, not over seeds.",
        {"accuracy": "%", "against_anew": "points", "training_macs": "G", "training_seconds": "s"},
        [
            Figure("bars", "trees", "Accuracy in both trees", "With 95% intervals over test images. Grey and hatched: "
                   "what moved experts are held against.", x="network", y="accuracy", percent=True,
                   under_test=(NAMES["moved"],)),
        ],
    )  # fmt: skip


def target_panels(findings: TargetFindings) -> Iterator[Panel]:
    """Curves over training images per class, gains, and a table of all experts."""
    curve: list[dict[str, Any]] = [
        {"start": STARTS[WARM], "images_per_class": 0, **findings.zero_shot.columns("accuracy")},
        *(
            {"start": STARTS[start], "images_per_class": count, **accuracy.columns("accuracy")}
            for (start, count), accuracy in findings.few.items()
        ),
    ]
    yield Panel(
        TARGET,
        "curve",
        curve,
        f"Mean over {len(findings.experts)} experts on test images of the other data set, among the classes of their "
        f"node, where chance is {findings.chance:.0%}; 0 images per class: the source's expert as it is. Images are "
        "normalised as the source's. Every training takes as many steps as the one with the most images, and its last "
        "weights; what the training of the source's expert took is not counted to a warm start. "
        "Intervals: experts and images resampled; with so few experts they are narrow.",
        {"accuracy": "%"},
        [
            Figure("lines", "curve", "Accuracy with a few images of the other look", "With 95% intervals.",
                   x="images_per_class", y="accuracy", group="start", percent=True),
        ],
    )  # fmt: skip
    yield Panel(
        TARGET,
        "gain",
        [
            {"images_per_class": count, **findings.gain[count].columns("gain"),
             **findings.over_zero_shot[count].columns("over_zero_shot")}
            for count in findings.sizes
        ],
        "Gain: warm start minus from scratch. Over zero shot: warm start minus the source's expert as it is; below "
        "zero a few images have done more harm than good. Both in pairs over experts and images.",
        {"gain": "points", "over_zero_shot": "points"},
    )  # fmt: skip
    accuracies = ("source_accuracy", "zero_shot_accuracy", "warm_accuracy", "scratch_accuracy")
    yield Panel(
        TARGET,
        "experts",
        [
            {
                "expert": expert.name,
                "images_per_class": count,
                **expert.gain_over_images(count).columns("gain"),
                "source_accuracy": expert.source.value,
                "zero_shot_accuracy": expert.zero_shot.value,
                "warm_accuracy": expert.few[WARM, count].value,
                "scratch_accuracy": expert.few[SCRATCH, count].value,
            }
            for expert in findings.experts
            for count in findings.sizes
        ],
        "Every expert by itself, among its own classes. Source accuracy: on test images of the data set that it was "
        "trained on. Gain: warm start minus from scratch, with its interval over images.",
        {**dict.fromkeys(accuracies, "%"), "gain": "points"},
        [
            Figure("bars", "experts", "Gain of the warm start", "Of each expert, with 95% intervals over test images.",
                   x="expert", y="gain", group="images_per_class"),
        ],
    )  # fmt: skip


def verdict(trees: TreeFindings, target: TargetFindings, row: Mapping[str, Any]) -> Verdict:
    """What a warm start gains with the fewest images, and what moving experts to another tree saves.

    Args:
        row: of the job in a table over many jobs.
    """
    least, moved = target.sizes[0], trees.networks["moved"]
    gain, warm, scratch = target.gain[least], target.few[WARM, least], target.few[SCRATCH, least]
    metrics = {
        "gain": gain,
        "over_zero_shot": target.over_zero_shot[least],
        "moved_against_anew": moved.against_anew,
        "moving_saves": Estimate(trees.saved),
        "moved_accuracy": moved.accuracy,
        "source_tree_accuracy": trees.networks["source"].accuracy,
        "zero_shot_accuracy": target.zero_shot,
        "source_accuracy": target.source,
        "warm_accuracy": warm,
        "scratch_accuracy": scratch,
    }
    points = dict.fromkeys(("moved_against_anew", "gain", "over_zero_shot"), "points")
    return Verdict(
        f"with {least} images per class of the other look a warm start gains {100 * gain.value:+.1f} points "
        f"[{100 * gain.low:+.1f}, {100 * gain.high:+.1f}] over {len(target.experts)} experts "
        f"({warm.value:.1%} against {scratch.value:.1%}, without any training {target.zero_shot.value:.1%}); "
        f"{moved.moved} experts moved to another tree classify {moved.accuracy.value:.1%} of the test images right "
        f"({100 * moved.against_anew.value:+.1f} points against new experts) and save {trees.saved:.0%} of its "
        "training",
        metrics=metrics,
        units=dict.fromkeys(metrics, "%") | points,
        row=row,
        screen=("trees", "curve"),
    )
