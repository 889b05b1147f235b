"""Modular and monolithic networks: accuracy, errors, learning, cost and single images, as tables and figures."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict

from torch import Tensor

from src.artifacts.opening import sheet
from src.core.estimate import Estimate, columns_of
from src.core.result import Figure, Panel
from src.studies.composition.accuracy import KEYS, Accuracy
from src.studies.composition.cost import Costs
from src.studies.composition.errors import THESIS_MODULES, THESIS_MONOLITH, Errors, Heuristic, thesis_shares
from src.studies.composition.findings import Findings
from src.studies.composition.learning import Learning
from src.studies.composition.routes import Mistake, RoutedImages
from src.studies.robustness.calibration_panels import calibration_panels, detection_panels
from src.studies.robustness.corruption_panels import robustness_panels

ACCURACY, ERRORS, LEARNING, COST, SINGLE = "Accuracy", "Errors", "Learning", "Cost", "Single images"
CONTROLS = ("random tree", "modules, oracle")
READINGS = {"argmax": "above its class", "summed": "summed probabilities"}
JUDGED_ON = {"validation": "validation images", "test": "the test images themselves"}


def panels(findings: Findings) -> Iterator[Panel]:
    """All, in the order of the page."""
    yield accuracy_panel(findings.accuracy)
    if findings.errors is not None:
        yield from error_panels(findings.errors)
    yield from calibration_panels(findings.calibration)
    yield from robustness_panels(findings.robustness)
    yield from detection_panels(findings.detection, findings.unknown)
    if findings.learning is not None:
        yield learning_panel(findings.learning)
    yield from cost_panels(findings.costs)
    yield from route_panels(findings.routes)


def accuracy_panel(networks: Mapping[str, Accuracy]) -> Panel:
    """Table ``networks``: every network and rule."""
    percents = ("accuracy", "superclass_accuracy", "within_superclass", "top5", "ece", "auc", "confidence",
                "smallest_share", "largest_share")  # fmt: skip
    return Panel(
        ACCURACY,
        "networks",
        [{"network": name, **columns_of(network)} for name, network in networks.items()],
        "On test images, which nothing was trained or chosen on. Within superclass: of the images put into the right "
        "branch of the root. NLL clipped at a probability of 1e-7 (hard rules give some classes none: infinite NLL "
        "counts those images). Semantic similarity: shared part of the paths to the true and to the predicted class. "
        "ECE: 15 bins. AUC: micro. Shares: of the least and the most often predicted class.",
        {**dict.fromkeys(percents, "%"), "against_monolith": "points", "entropy": "nats", "nll_clipped": "nats"},
        [Figure("bars", "networks", "Accuracy", "With 95% intervals over test images. Grey and hatched: controls.",
                x="network", y="accuracy", percent=True,
                under_test=tuple(name for name in networks if not name.startswith(CONTROLS)))],
    )  # fmt: skip


def error_panels(errors: Errors) -> Iterator[Panel]:
    """Tables ``gap``, ``heuristic``, ``superclasses`` and the confusions of each network."""
    yield _gap(errors)
    yield _heuristic(errors.heuristic)
    yield _superclasses(errors)
    yield from _confusions(errors)


def _gap(errors: Errors) -> Panel:
    """Router and experts in the gap to the monolith, which is read in two ways; the thesis's for comparison."""
    rows = [
        {
            "network": gap.network,
            "monolith_superclass": READINGS[gap.reading],
            **gap.split.gap.columns("log_gap"),
            **gap.split.router.columns("router_share"),
            **gap.split.experts.columns("experts_share"),
            "superclass_accuracy": gap.split.network[0].value,
            "monolith_superclass_accuracy": gap.split.benchmark[0].value,
            "within_superclass": gap.split.network[-1].value,
            "monolith_within_superclass": gap.split.benchmark[-1].value,
        }
        for gap in errors.gaps
    ]
    router, experts = thesis_shares()
    rows.append(
        {
            "network": "thesis (2020), CIFAR-100, hard",
            "monolith_superclass": READINGS["argmax"],
            **Estimate(math.log(0.5319 / 0.3569)).columns("log_gap"),
            **Estimate(router).columns("router_share"),
            **Estimate(experts).columns("experts_share"),
            "superclass_accuracy": THESIS_MODULES[0],
            "monolith_superclass_accuracy": THESIS_MONOLITH[0],
            "within_superclass": THESIS_MODULES[1],
            "monolith_within_superclass": THESIS_MONOLITH[1],
        }
    )
    percents = ("router_share", "experts_share", "superclass_accuracy", "monolith_superclass_accuracy",
                "within_superclass", "monolith_within_superclass")  # fmt: skip
    return Panel(
        ERRORS,
        "gap",
        rows,
        "Accuracy is that of the superclass times that within it, so that the logarithm of the ratio of two accuracies "
        "is a sum: the router's and the experts' shares of it, with 95% intervals over images. A share above 100 or "
        "below 0: the other part gains; where the gap is near 0 shares say nothing and their intervals are wide.",
        {**dict.fromkeys(percents, "%"), "log_gap": "nats"},
    )


def _heuristic(heuristic: Sequence[Heuristic]) -> Panel:
    rows = []
    for judged in heuristic:
        on, hard, soft = JUDGED_ON[judged.judged_on], judged.hard, judged.soft
        rows += [
            {"quantity": "error, hard", "modules_judged_on": on, "foretold": hard.predicted, "measured": hard.measured},
            {"quantity": "L1 distance / 2, soft", "modules_judged_on": on, "foretold": soft.predicted / 2,
             "measured": soft.measured / 2},
        ]  # fmt: skip
    return Panel(
        ERRORS,
        "heuristic",
        rows,
        "The composed network's error from its modules' own errors, on validation images (which chose each module's "
        "epoch, and so flatter it) and on the test images themselves. Hard: one minus the mean product of recalls "
        "along the way to each class, as if decisions were independent. Soft: half the L1 distance to the truth, from "
        "the mean probabilities of the right child. Foretold above measured: images that one module finds "
        "hard are hard for the next one too.",
        dict.fromkeys(("foretold", "measured"), "%"),
    )


def _superclasses(errors: Errors) -> Panel:
    return Panel(
        ERRORS,
        "superclasses",
        [asdict(branch) for branch in errors.branches],
        "Of the test images of a superclass: those put into its branch, those put into their class, and the second as "
        "a share of the first. Answers: share of all test images that are put into this branch.",
        dict.fromkeys(("recall_of_branch", "accuracy", "within_branch", "answers"), "%"),
        [Figure("bars", "superclasses", "Accuracy per superclass", x="superclass", y="accuracy", group="network",
                percent=True)],
    )  # fmt: skip


def _confusions(errors: Errors) -> Iterator[Panel]:
    for network, confusions in errors.confusions.items():
        yield _confusion("superclass", network, confusions.superclasses, errors.tree.nodes[0].children)
    for network, confusions in errors.confusions.items():
        yield _confusion("class", network, confusions.classes, errors.tree.classes)


def _confusion(kind: str, network: str, counts: Tensor, names: Sequence[str]) -> Panel:
    table = f"{kind}_confusions_{KEYS[network]}"
    shares = counts.double() / counts.sum(1, keepdim=True).clamp(min=1)
    columns = {
        "true": [name for name in names for _ in names],
        "predicted": list(names) * len(names),
        "share": shares.flatten().tolist(),
    }
    figure = Figure("heatmap", table, f"Which {kind} is taken for which: {network}", "Rows sum to 100.",
                    x="predicted", y="true", value="share", percent=True)  # fmt: skip
    return Panel(ERRORS, table, columns, units={"share": "%"}, figures=[figure])


def learning_panel(learning: Learning) -> Panel:
    """Table ``learning`` with a figure over each thing that was spent."""
    rows = [
        {"network": point.network, "images": point.spent.images, "steps": point.spent.steps,
         "training_macs": point.spent.macs, "accuracy": point.accuracy}
        for point in learning.points
    ]  # fmt: skip
    spent = (("images", "images seen"), ("steps", "optimiser steps"), ("training_macs", "multiply-adds spent"))
    return Panel(
        LEARNING,
        "learning",
        rows,
        f"On {learning.images} test images. Images: training images seen by all modules together, repeats counted. "
        "Multiply-adds: three "
        "times those of a forward pass for every image seen. Of modules that trained for different numbers of epochs "
        "the same fraction of each one's training, where none was stopped early; what came before a fine-tuning is not "
        "counted. Weights are those of the epoch, not the chosen ones.",
        {"training_macs": "T", "accuracy": "%"},
        [
            Figure("lines", "learning", f"Accuracy against {words}", x=x, y="accuracy", group="network", percent=True)
            for x, words in spent
        ],
    )


def cost_panels(costs: Costs) -> Iterator[Panel]:
    """Tables ``parts`` and ``cost``."""
    together = "Of modules trained together epochs and seconds are those of their one training. "
    yield Panel(
        COST,
        "parts",
        [asdict(part) for part in costs.parts],
        "Every network that was trained, on the images below its node; accuracy and loss: on those among the "
        "validation and test images, as if every router before it were right. "
        f"{together if costs.together else ''}Training memory: predicted peak of one process beyond what torch's code "
        "takes, as if trained with SGD (Adam holds one more copy of the weights); seconds: wall time beside whatever "
        "else ran, 0 where it was found in the store untimed.",
        {"training_seconds": "s", "training_memory_mib": "MiB", "validation_accuracy": "%", "test_accuracy": "%"},
    )
    yield Panel(
        COST,
        "cost",
        [asdict(network) for network in costs.networks],
        "Of one image seen through one crop; a multiply-add counts 1. Hard route: the mean over the classes of the "
        f"test images. Milliseconds: the median of repeated calls with {costs.threads} thread, measured "
        "beside whatever else ran. match=macs makes the monolith as large as the hard route, whatever rule composes "
        "the modules.",
    )


def route_panels(routed: RoutedImages) -> Iterator[Panel]:
    """Table ``routes`` and the picture of its images, in the same order."""
    rows = [
        {
            "image": number + 1,
            "true": route.true,
            "composed_says": route.predicted,
            "greedy_route": " > ".join(f"{step.child} {step.probability:.0%}" for step in route.steps),
            "runners_up": ", ".join(f"{step.runner_up} {step.runner_up_probability:.0%}" for step in route.steps),
            "error": _blame(route.mistake),
        }
        for number, route in enumerate(routed.routes)
    ]
    yield Panel(
        SINGLE,
        "routes",
        rows,
        "Each decision of the greedy route with its module's probability, and what came second. Error: the first "
        "decision on the route that was wrong; where all modules are asked, their answer may still be right.",
    )
    labels = [f"{route.true} → {route.predicted}" for route in routed.routes]
    yield sheet("routed_images", routed.images, labels, "The images of the table",
                "In its order: true class → what the modules together say.", SINGLE)  # fmt: skip


def _blame(mistake: Mistake | None) -> str:
    if mistake is None:
        return ""
    return "expert" if mistake.by_expert else f"router: {mistake.true} taken for {mistake.taken}"
