"""How the page of a change of classes begins, in plain words."""

from collections.abc import Mapping

from src.artifacts.opening import images_said, picture
from src.core.result import Opening, Panel, Step
from src.studies.class_change.changes import Role
from src.studies.class_change.findings import ClassChangeFindings
from src.studies.class_change.options import AddClass
from src.studies.class_change.panels import METRICS, subject_said
from src.studies.class_change.setting import Setting

TERMS = {
    "monolith": "One network for all classes.",
    "module": "A small network that decides at one node of a tree of classes.",
    "expert": "A module that decides between the classes of one group.",
    "router": "A module that decides between groups of classes.",
    "warm-started": "Trained on from the weights of before, and not from random ones.",
    "retrained_accuracy": "Accuracy of a monolith trained again from random weights, to compare with.",
    "other_accuracy": "Accuracy on the classes that the change is not about.",
    "changed_recall": "Share of the images of the changed classes that are classified right.",
    "forgetting": "Accuracy on all other classes before the change minus after it; below zero it has become better.",
    "changed_answers": "Share of the images of other classes that are put into another class than before.",
    "largest_change": "Greatest change of any probability of the other classes; 0: equal to the last bit.",
    "update_macs": "Multiply-adds of the trainings of the change.",
    "all_macs": "The same with all trainings that the change builds on.",
    "touched": "Share of the parameters that were trained.",
}
_METRICS = {
    "accuracy": "Accuracy {of} after the change.",
    "forgetting": "Accuracy {of} on all other classes before the change minus after it.",
    "recall": "Share of the new class's images that are classified right {by}.",
    "update_macs_ratio": "Cost of the change {of} as a share of training a new monolith.",
    "all_macs_ratio": "The same with all trainings that the change {of} builds on.",
}
WHO = {
    "modules": "the modules",
    "monolith": "the monolith that learned on from images of the changed group alone",
    "all_images_monolith": "the monolith that learned on from images of all classes",
}


def opening(options: AddClass) -> Opening:
    """Before anything trains."""
    name = f"'{options.class_name}'"
    asked, done = {
        "add": (f"What does it cost to teach networks a new class, {name}", f"the class {name} joins"),
        "remove": (f"What does it cost to make networks drop a class, {name}", f"the class {name} leaves"),
        "replace": (f"What changes when the expert above {name} is replaced", f"the expert above {name} is replaced"),
    }[options.change]
    terms = {
        f"{prefix}{metric}": words.format(of=f"of {WHO[role]}", by=f"by {WHO[role]}")
        for role, prefix in METRICS.items()
        if role in WHO
        for metric, words in _METRICS.items()
    }
    return Opening(
        f"{asked}, and what do they forget ({images_said(options.monolith['data'])})?",
        "A monolith is one network for all classes; a modular network has small networks that each decide at one node "
        f"of a tree of classes. After both are trained, {done}. Of the modules only those that are concerned are "
        "changed, of the monolith all weights are; then it is asked what each has lost on the other classes "
        "(forgetting), and what the change has cost.",
        terms=TERMS | terms,
    )


def steps(findings: ClassChangeFindings, setting: Setting) -> tuple[list[Step], list[Panel]]:
    """The drawing of what was done, and its picture."""
    test = setting.data.sets["test"]
    changed = test.images[setting.changed[test.labels]]
    happened = {"add": "a class joins", "remove": "a class leaves", "replace": "an expert is replaced"}
    boxes = [
        Step("", "images", f"{len(test.classes)} classes", f"{len(test):,} test images", "step_images"),
        Step("→", happened[findings.change], subject_said(findings), picture="step_changed"),
    ]  # fmt: skip
    roles: Mapping[Role, str] = {
        "modules": "changed modules",
        "monolith": "changed monolith",
        "retrained": "new monolith",
    }
    for role, title in roles.items():
        if role in findings.roles:
            network = findings.roles[role]
            text = "trained again from the start"
            if role != "retrained":
                text = f"forgetting {100 * network.forgetting['others'].lost.value:+.1f} points"
            boxes.append(
                Step("→" if role == "modules" else "against", title, text, f"{network.accuracy.value:.1%} right")
            )
    return boxes, [picture("step_images", test.images), picture("step_changed", changed)]
