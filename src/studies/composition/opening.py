"""How the page of a network of modules begins, in plain words."""

from src.artifacts.composed import MONOLITH, Networks
from src.artifacts.opening import images_said, network_said, picture
from src.core.result import Opening, Panel, Step
from src.data.datamodule import ImageData
from src.studies.composition.accuracy import of_rule
from src.studies.composition.findings import Findings
from src.studies.composition.options import Compose
from src.studies.composition.panels import RULES
from src.studies.robustness.calibration_panels import CALIBRATION_TERMS
from src.studies.robustness.corruption_panels import CORRUPTION_TERMS

TERMS = {
    "monolith": "One network for all classes.",
    "module": "A small network that decides at one node of the label tree.",
    "label tree": "Classes in superclasses, these perhaps in others: a decision at each node leads to one class.",
    "superclass": "A group of classes that a router can choose.",
    "router": "A module that decides between superclasses.",
    "expert": "A module that decides between the classes of one superclass.",
    "random tree": "A control: the same tree with the classes dealt at random.",
    "modules, oracle routing": "A control: as if all routers were right.",
    "composed_against_monolith": "Accuracy of the composed modules minus that of the monolith.",
    "against_monolith": "Accuracy minus that of the monolith.",
    "composed_accuracy": "Accuracy of all modules together.",
    "monolith_accuracy": "Accuracy of the monolith.",
    "router_share": "Of the logarithm of the monolith's accuracy over the hard route's, what wrong superclasses make.",
    "experts_share": "The rest of that logarithm: what wrong classes in the right superclass make.",
    "log_gap": "Logarithm of the monolith's accuracy over the modules'.",
    "stored_parameters_ratio": "Parameters of all modules over those of the monolith.",
    "active_macs_ratio": "Multiply-adds of one image over the monolith's, sent to one expert alone (hard routing).",
    "monolith_corrupted_accuracy": "Accuracy of the monolith on damaged images.",
    "composed_corrupted_accuracy": "Accuracy of the composed modules on damaged images.",
    "monolith_ece": "Calibration error of the monolith: confidence against share of right answers.",
    "composed_ece": "Calibration error of the composed modules.",
    "composed_mce": "Errors of the modules on damaged images relative to the monolith's; below 100% is better.",
    "superclass_accuracy": "Share of the images that are put into the right superclass.",
    "within_superclass": "Of the images in the right superclass, the share in the right class.",
    "semantic_similarity": "How much of the way through the tree the answer shares with the truth.",
    "smallest_share": "Share of the answers that the rarest class gets.",
    "largest_share": "Share of the answers that the most frequent class gets.",
    "recall_of_branch": "Share of a superclass's images that are put into this superclass.",
    "within_branch": "Of these, the share that are put into the right class.",
    "answers": "Share of all images that are put into this superclass.",
    "active_macs": "Multiply-adds of one image on its way.",
    "active_parameters": "Parameters that one image meets on its way.",
    "greedy_route": "Each module's most probable child, from the root on.",
    "runners_up": "What came second at each module.",
    "foretold": "Error as reckoned from the modules' own errors.",
    "measured": "Error as it is.",
}


def opening(options: Compose, data: ImageData) -> Opening:
    """Before anything trains."""
    trained = "trained by itself" if options.modules == "separate" else "trained together with the others"
    size = {"parameters": "as many parameters as all modules together", "macs": "the same cost per image"}
    alike = f", which has {size[options.matched]}" if options.matched in size else ""
    return Opening(
        f"Does a network of modules do as well as a single one ({images_said(options.monolith['data'])})?",
        f"A monolith is one network for all {len(data.classes)} classes{alike}. The other network is made of modules: "
        "a label tree puts the classes into superclasses, routers decide between superclasses and experts between the "
        f"classes of one, each of them a small network {trained}. Both name the classes of test images, of damaged "
        "ones, and say how sure they are, also of images of unknown classes. Everything is trained once "
        f"(seed {options.seed}), and intervals are over test images; to see how trainings differ, run the job "
        "with -m and seed=0,1,2.",
        terms=CORRUPTION_TERMS | CALIBRATION_TERMS | TERMS,
    )


def steps(findings: Findings, networks: Networks) -> tuple[list[Step], list[Panel]]:
    """The drawing of what was done, and its picture."""
    tree, data = networks.tree, networks.data
    experts = sum(tree.is_expert(node) for node in range(len(tree.nodes)))
    whole, modular = findings.accuracy[MONOLITH], findings.accuracy[of_rule(findings.rule)]
    boxes = [
        Step("", "images", f"{len(data.classes)} classes in {len(tree.nodes[0].children)} superclasses",
             f"{len(data.sets['test']):,} test images", "step_images"),
        Step("→", f"{len(tree.nodes) - experts} router{'s' * (len(tree.nodes) - experts != 1)}",
             "put an image into a superclass"),
        Step("+", f"{experts} expert{'s' * (experts != 1)}", "name the class within the superclass"),
        Step("=", f"modules together ({findings.rule})", RULES[of_rule(findings.rule)],
             f"{modular.accuracy.value:.1%} right"),
        Step("against", "monolith", f"{network_said(networks.monolith.subject)}, one network for all classes",
             f"{whole.accuracy.value:.1%} right"),
    ]  # fmt: skip
    return boxes, [picture("step_images", data.sets["test"].images)]
