"""Modular and monolithic networks: accuracy, errors, learning, cost and single images, as tables and figures."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import torch
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
from src.studies.robustness.calibration_panels import SCORES_SAID, calibration_panels, detection_panels
from src.studies.robustness.corruption_panels import robustness_panels

ACCURACY, ERRORS, LEARNING, COST, SINGLE = "Accuracy", "Errors", "Learning", "Cost", "Single images"
FREQUENT = 10  # confusions that are named
CONTROLS = ("random tree", "modules, oracle")
READINGS = {"argmax": "above its class", "summed": "summed probabilities"}
JUDGED_ON = {"validation": "validation images", "test": "the test images themselves"}


def panels(findings: Findings) -> Iterator[Panel]:
    """All, in the order of the page."""
    yield from accuracy_panels(findings.accuracy)
    if findings.errors is not None:
        yield from error_panels(findings.errors)
    yield from calibration_panels(findings.calibration)
    yield from robustness_panels(findings.robustness, findings.classes)
    yield from detection_panels(findings.detection, findings.unknown)
    if findings.learning is not None:
        yield learning_panel(findings.learning)
    yield from cost_panels(findings.costs)
    yield from route_panels(findings.routes)


#: what stands first in the table of networks
DECIDING = ("accuracy", "against_monolith", "superclass_accuracy", "within_superclass", "largest_share", "ece",
            "nll_clipped", "semantic_similarity")  # fmt: skip
#: network or rule, as it is called in tables -> what it does
RULES = {
    "monolith": "One network for all classes: what the modules are compared with.",
    "modules, soft": "The probabilities along the way to a class are multiplied.",
    "modules, hard": "Each router's likeliest superclass alone is followed; its expert answers.",
    "modules, top_m": "As soft, but each router keeps only its few likeliest superclasses.",
    "modules, beam": "As soft, but of each level of the tree only the few likeliest superclasses are kept.",
    "modules, product": "The modules' raw scores are added along the way.",
    "modules, additive": "The mean of what each level of the tree says of the classes below.",
    "modules, logarithmic": "As soft, with a weight for each level of the tree.",
    "modules, chaining": "One more small model reads what all modules say, and decides.",
    "modules, oracle routing": "A control: the routers know the truth, so that only the experts can err.",
    "random tree, soft": "A control: as soft, over superclasses whose classes were dealt at random.",
    "random tree, hard": "The same control, hard.",
}


def accuracy_panels(networks: Mapping[str, Accuracy]) -> Iterator[Panel]:
    """Tables ``rules``: what each does; ``networks``: every network and rule."""
    yield Panel(
        ACCURACY,
        "rules",
        [{"network": name, "what_it_does": RULES[name]} for name in networks],
        "All rules compose the same modules: a rule says how their answers become one.",
        title="The networks, and the rules of composition",
    )
    yield _accuracies(networks)


def _accuracies(networks: Mapping[str, Accuracy]) -> Panel:
    percents = ("accuracy", "superclass_accuracy", "within_superclass", "top5", "ece", "auc", "confidence",
                "smallest_share", "largest_share")  # fmt: skip
    return Panel(
        ACCURACY,
        "networks",
        [{"network": name, **_deciding_first(columns_of(network))} for name, network in networks.items()],
        "On test images, which nothing was trained or chosen on; intervals are over them, of one training. Within "
        "superclass: of the images in the right superclass, those in the right class. Largest share: of the answers, "
        f"those of the most frequent class. {SCORES_SAID} Semantic "
        "similarity: how much of the way through the tree the answer shares with the truth.",
        {**dict.fromkeys(percents, "%"), "against_monolith": "points", "entropy": "nats", "nll_clipped": "nats"},
        [Figure("bars", "networks", "Accuracy", "With 95% intervals over test images. Grey and hatched: controls.",
                x="network", y="accuracy", percent=True,
                under_test=tuple(name for name in networks if not name.startswith(CONTROLS)))],
        title="Every network and rule",
    )  # fmt: skip


def _deciding_first(columns: Mapping[str, Any]) -> dict[str, Any]:
    first = [name for column in DECIDING for name in (column, f"{column}_low", f"{column}_high") if name in columns]
    return {name: columns[name] for name in dict.fromkeys([*first, *columns])}


def error_panels(errors: Errors) -> Iterator[Panel]:
    """Tables ``gap``, ``heuristic``, ``superclasses``, ``frequent_confusions`` and the confusions of each network."""
    yield _gap(errors)
    yield _heuristic(errors.heuristic)
    yield _superclasses(errors)
    yield _frequent_confusions(errors)
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
        "below 0: the other part gains; where the gap is near 0 shares say nothing and their intervals are wide. "
        "A monolith names no superclass: it is read as that above its class, or as the one with most probability.",
        {**dict.fromkeys(percents, "%"), "log_gap": "nats"},
        title="Who loses what the monolith gets right: the router or the experts?",
        folded=errors.hard_gap is None,
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
        title="Error as the modules' own errors foretell it",
        folded=True,
    )


def _superclasses(errors: Errors) -> Panel:
    return Panel(
        ERRORS,
        "superclasses",
        [asdict(branch) for branch in errors.branches],
        "Of the test images of a superclass: those put into it, those put into their class, and the second as a share "
        "of the first. Answers: share of all test images that are put into this superclass.",
        dict.fromkeys(("recall_of_branch", "accuracy", "within_branch", "answers"), "%"),
        [Figure("bars", "superclasses", "Right classes per superclass", "Of the images of a superclass, those whose "
                "class is right. The diagonals of the matrices of superclasses count all whose superclass is right, "
                "whatever the class, and so are higher.",
                x="superclass", y="accuracy", group="network", percent=True)],
        title="Superclass by superclass",
    )  # fmt: skip


def _frequent_confusions(errors: Errors) -> Panel:
    """The pairs of classes that are confused most, on average over the networks."""
    tree = errors.tree
    shares = {name: _shares(confusions.classes) for name, confusions in errors.confusions.items()}
    mean = torch.stack([*shares.values()]).mean(0).fill_diagonal_(0)
    most, places = mean.flatten().sort(descending=True)
    pairs = [divmod(place, len(mean)) for place in places[most > 0][:FREQUENT].tolist()]
    rows = [
        {
            "true": tree.classes[true],
            "predicted": tree.classes[predicted],
            "same_superclass": bool(tree.superclass_of[true] == tree.superclass_of[predicted]),
            **{name: float(share[true, predicted]) for name, share in shares.items()},
        }
        for true, predicted in pairs
    ]
    return Panel(
        ERRORS,
        "frequent_confusions",
        rows,
        "Of the images of the true class, the share that each network takes for the predicted one; those that are "
        "greatest on average. In the same superclass an expert errs, else a router. The "
        "monolith has neither.",
        dict.fromkeys(shares if rows else (), "%"),
        title=f"The {len(rows)} most frequent confusions",
    )


def _confusions(errors: Errors) -> Iterator[Panel]:
    for network, confusions in errors.confusions.items():
        names = errors.tree.nodes[0].children
        yield _confusion("superclass", network, confusions.superclasses, names, names)
    order = errors.tree.superclass_of.argsort(stable=True)  # so that confusions within a group lie side by side
    classes = [errors.tree.classes[label] for label in order.tolist()]
    groups = [errors.tree.nodes[0].children[group] for group in errors.tree.superclass_of[order].tolist()]
    lines = [name if name == group else f"{group}: {name}" for group, name in zip(groups, classes, strict=True)]
    for network, confusions in errors.confusions.items():
        yield _confusion("class", network, confusions.classes[order][:, order], lines, classes)


def _confusion(kind: str, network: str, counts: Tensor, lines: Sequence[str], names: Sequence[str]) -> Panel:
    """Of the kinds ``names``, whose rows are called ``lines``."""
    table = f"{kind}_confusions_{KEYS[network]}"
    columns = {
        "true": [line for line in lines for _ in names],
        "predicted": list(names) * len(names),
        "share": _shares(counts).flatten().tolist(),
    }
    more = {
        "class": ". Classes of one superclass stand side by side; the most frequent confusions are a table below.",
        "superclass": ", whatever the class.",
    }[kind]
    figure = Figure("heatmap", table, f"Which {kind} is taken for which: {network}", "Each row is the images of one "
                    f"{kind}, and sums to 100; on the diagonal: in the right {kind}{more}",
                    x="predicted", y="true", value="share", percent=True)  # fmt: skip
    return Panel(ERRORS, table, columns, units={"share": "%"}, figures=[figure])


def _shares(counts: Tensor) -> Tensor:
    """Of each row's sum."""
    return counts.double() / counts.sum(1, keepdim=True).clamp(min=1)


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
        title="What was trained, part by part",
    )
    yield Panel(
        COST,
        "cost",
        [asdict(network) for network in costs.networks],
        "Of one image seen through one crop; a multiply-add counts 1. Hard route: the mean over the classes of the "
        f"test images. Milliseconds: the median of repeated calls with {costs.threads} thread, measured "
        "beside whatever else ran. match=macs makes the monolith as large as the hard route, whatever rule composes "
        "the modules.",
        title="What one image costs",
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
        title="The way of single images through the tree",
    )
    labels = [f"{route.true} → {route.predicted}" for route in routed.routes]
    yield sheet("routed_images", routed.images, labels, "The images of the table",
                "In its order: true class → what the modules together say.", SINGLE)  # fmt: skip


def _blame(mistake: Mistake | None) -> str:
    if mistake is None:
        return ""
    return "expert" if mistake.by_expert else f"router: {mistake.true} taken for {mistake.taken}"
