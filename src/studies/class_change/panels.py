"""What a change of classes did, in tables, figures and a sentence."""

from collections.abc import Iterator, Mapping
from typing import Any

from src.core.estimate import Estimate, columns_of
from src.core.result import Figure, Panel, Verdict
from src.studies.class_change.changes import Role
from src.studies.class_change.findings import ClassChangeFindings, Group, Match

CHANGE, FORGETTING, COST = "Change", "Forgetting", "Cost"
MATCHED: Mapping[Match, str] = {
    "parameters": "to the modules' stored parameters",
    "macs": "to the modules' multiply-adds per image by the hard route, whatever rule composes them",
    "data": "by the images alone: it is as large as its recipe says",
}
#: role -> what its metrics begin with
METRICS: Mapping[Role, str] = {
    "modules": "",
    "monolith": "monolith_",
    "all_images_monolith": "all_images_monolith_",
}


def panels(findings: ClassChangeFindings) -> Iterator[Panel]:
    """Accuracies, forgetting and costs of all networks."""
    yield _networks(findings)
    yield _forgetting(findings)
    yield _cost(findings)


def verdict(findings: ClassChangeFindings, row: Mapping[str, Any]) -> Verdict:
    """The changed modules against the changed monoliths.

    Args:
        row: of the job in a table over many jobs.
    """
    retrained, modules = findings.roles["retrained"], findings.roles["modules"]
    metrics: dict[str, Estimate] = {}
    sentences, whole = [], {}
    for role, prefix in METRICS.items():
        if role not in findings.roles:
            continue
        network, ratios = findings.roles[role], (findings.macs_ratio(role), findings.all_macs_ratio(role))
        lost = network.forgetting["others"].lost
        metrics |= {
            f"{prefix}forgetting": lost,
            f"{prefix}accuracy": network.accuracy,
            f"{prefix}update_macs_ratio": Estimate(ratios[0]),
        }
        whole[f"{prefix}all_macs_ratio"] = Estimate(ratios[1])
        right = f"{network.accuracy.value:.1%} right"
        if findings.change == "add" and network.changed_recall is not None:
            metrics[f"{prefix}recall"] = network.changed_recall
            right += f" ({network.changed_recall.value:.1%} of the new class)"
        sentences.append(f"{network.name}: {right}, {_points(lost)} lost on the others, {_cost_in_words(*ratios)}")
    metrics |= {"retrained_accuracy": retrained.accuracy, **whole}
    if findings.change == "replace":
        largest = modules.forgetting["others"].largest_change
        same = "are equal to the last bit" if largest == 0 else f"have changed by up to {largest:.2g}"
        sentences.insert(0, f"the probabilities of all other classes {same}")
    if retrained is not findings.roles["monolith"]:
        sentences.append(f"{retrained.name}: {retrained.accuracy.value:.1%} right")
    happened = {"add": "joined", "remove": "left", "replace": "was replaced"}[findings.change]
    forgetting = dict.fromkeys((f"{prefix}forgetting" for prefix in METRICS.values()), "points")
    return Verdict(
        f"{subject_said(findings)} {happened}: {'; '.join(sentences)}",
        metrics=metrics,
        units={name: forgetting.get(name, "%") for name in metrics},
        row=row,
        screen=("networks", "cost"),
    )


def _networks(findings: ClassChangeFindings) -> Panel:
    rows = [{"network": network.name, **columns_of(network, "name", "forgetting", "cost")}
            for network in findings.networks]  # fmt: skip
    after = {
        "add": "Changed recall: of the images of the new class; networks from before cannot tell it",
        "remove": "Accuracy is that on the classes that stay",
        "replace": f"Changed recall: of the images of '{findings.expert}', the replaced expert's classes",
    }[findings.change]
    drawn = {"accuracy": "Accuracy after the change", "changed_recall": f"Recall: {subject_said(findings)}"}
    return Panel(
        CHANGE,
        "networks",
        rows,
        f"On test images, which nothing was trained or chosen on. {after}. Other accuracy: on the classes that the "
        "change is not about. Warm-started: from the weights of before, by the recipe with the changes of update; "
        "anew: from random weights. All modules that are not named are those of before; the monolith's size is matched "
        f"once, over all classes, {MATCHED[findings.match]}. One training each: intervals are over images, not over "
        "seeds.",
        {column: "%" for column in ("accuracy", "other_accuracy", "changed_recall") if column in rows[0]},
        [
            Figure("bars", "networks", title, "With 95% intervals over test images. Grey and hatched: monoliths.",
                   x="network", y=column, percent=True,
                   under_test=tuple(row["network"] for row in rows if row["network"].startswith("modules")))
            for column, title in drawn.items()
            if column in rows[0]
        ],
    )  # fmt: skip


def _forgetting(findings: ClassChangeFindings) -> Panel:
    names: Mapping[Group, str] = {
        "others": "all others",
        "siblings": f"others of {findings.expert}",
        "elsewhere": "of other superclasses",
    }
    return Panel(
        FORGETTING,
        "forgetting",
        [
            {
                "network": network.name,
                "classes": names[group],
                **forgetting.lost.columns("forgetting"),
                "before": forgetting.before,
                "after": forgetting.after,
                "changed_answers": forgetting.changed_answers,
                "largest_change": forgetting.largest_change,
            }
            for network in findings.networks
            for group, forgetting in network.forgetting.items()
        ],
        "Accuracy on test images of classes that the change is not about, before and after it. Forgetting: before "
        "minus after, in pairs over images; below zero the network has become better. Changed answers: share of these "
        "images that are put into another class than before. Largest change: of the probability of any of these "
        "classes for any test image; 0 means equal to the last bit.",
        {"before": "%", "after": "%", "forgetting": "points", "changed_answers": "%"},
        [
            Figure("bars", "forgetting", "Forgetting", "Before minus after, with 95% intervals over test images.",
                   x="network", y="forgetting", group="classes"),
        ],
    )  # fmt: skip


def _cost(findings: ClassChangeFindings) -> Panel:
    return Panel(
        COST,
        "cost",
        [
            {
                "network": network.name,
                "update_macs": cost.update.macs / 1e9,
                "all_macs": cost.all_macs / 1e9,
                "trained": cost.trainings,
                "images": cost.update.images,
                "steps": cost.update.steps,
                "update_seconds": cost.update.seconds,
                "touched": cost.update.parameters / cost.stored_parameters,
                "stored_parameters": cost.stored_parameters,
                "accuracy": network.accuracy.value,
            }
            for network in findings.networks
            if (cost := network.cost) is not None
        ],
        "Of the change alone, but for all multiply-adds: with the trainings before it, of the parts that were kept and "
        "of those that a warm start began from. Trained: how many networks. Images: training images seen, repeats "
        "counted. Multiply-adds: three times those of a forward pass for every image seen. Seconds: wall time of the "
        "epochs beside whatever else ran. Touched: share of the stored parameters that were trained.",
        {"update_macs": "G", "all_macs": "G", "update_seconds": "s", "touched": "%", "accuracy": "%"},
        [
            Figure("points", "cost", "Accuracy against the cost of the change", "Multiply-adds in 10^9.",
                   x="update_macs", y="accuracy", group="network", percent=True),
        ],
    )  # fmt: skip


def subject_said(findings: ClassChangeFindings) -> str:
    return f"the expert of '{findings.expert}'" if findings.change == "replace" else f"class '{findings.class_name}'"


def _cost_in_words(change: float, whole: float) -> str:
    if not change:
        return "without training"
    before = f" ({whole:.1%} with the trainings that it builds on)" if whole > change else ""
    return f"at {change:.1%} of the cost of a new monolith{before}"


def _points(lost: Estimate) -> str:
    return f"{100 * lost.value:.1f} points [{100 * lost.low:.1f}, {100 * lost.high:.1f}]"
