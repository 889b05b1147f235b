"""What a patch does: a table of all methods, figures, pictures, and the sentence of the job."""

from collections.abc import Iterator, Sequence
from typing import Any

from src.artifacts.opening import images_said, listed, network_said, picture, sheet
from src.artifacts.trial import BIAS, PATCHED, RANDOM, RETRAINED, STRONG, WEAK, Trial
from src.core.estimate import Estimate
from src.core.result import Figure, Opening, Panel, Step, Verdict
from src.data.datamodule import ImageData
from src.methods.modularity.patch_metrics import METRICS
from src.studies.patching.module_findings import ModuleFindings, module_metrics
from src.studies.patching.module_panels import METRIC_UNITS, MODULE_TERMS
from src.studies.patching.options import Patch
from src.studies.patching.patch_findings import MOST_LOST, PatchFindings, TargetFindings

CONTROLS = {STRONG: "the whole strong network as patch", RANDOM: "random kernels", RETRAINED: "retraining"}
CONFUSED = 40  # classes; a matrix of more cannot be read
TERMS = {
    "weak network": "A network that classifies its target class badly.",
    "strong network": "A larger network that knows the target class among others.",
    "module": "The kernels of the strong network that one class needs; a network that answers for this class alone.",
    "target class": "The class that the patch is to mend; the last one of the weak network.",
    "tuned bias": "A control without a module: the weak network's score for the target class, raised or lowered by the "
    "constant that is best on validation images.",
    "retrained": "A control that needs the training data: the weak network trained anew on all labelled images.",
    "random kernels": "A control: modules of as many kernels per layer, drawn by chance.",
    "module of a wrong class": "A control: another class's module in the place of the right one.",
    "calibrated": "The module's score turned into a probability on held-out images, so that classes compare.",
    "f1_gain_over_tuned_bias": "F1 of the patched network minus that of the tuned bias; decides the verdict.",
    "f1_gain": "F1 minus that of the tuned bias.",
    "f1_weak": "F1 of the weak network on the target class, before.",
    "f1_tuned_bias": "F1 on the target class of the weak network whose score for it is raised or lowered by the best "
    "constant.",
    "f1_patched": "F1 of the patched network on the target class, after.",
    "other_accuracy_gain": "Accuracy on the classes that are not patched, after minus before.",
    "other_accuracy": "Accuracy on the classes that are not patched.",
    "labelled": "Labelled images of the target class that a method trains, tunes or calibrates with, beside those that "
    "the strong network has learned from.",
} | MODULE_TERMS


def patch_panels(findings: PatchFindings) -> Iterator[Panel]:
    """All methods on each target class, and what the patch mended and what it broke, as images."""
    several = len(findings.targets) > 1
    yield Panel(
        "",
        "patch",
        [row for target in findings.targets for row in _rows(target, findings, several)],
        f"{findings.target_images} of {findings.images} test images are of the target class; none of them trained or "
        "tuned anything. Intervals: 95%, by a bootstrap paired over images. Retrained: on all labelled images. Random "
        f"kernels: mean of {findings.draws} draws. One image costs the weak network with its module "
        f"{findings.weak_macs / 1e6:.2f} M + {findings.module_macs / 1e6:.2f} M multiply-adds, the strong network "
        f"{findings.strong_macs / 1e6:.2f} M.",
        {**dict.fromkeys(METRICS, "%"), "f1_gain": "points"},
        [
            Figure("bars", "patch", title, "Blue: the patch. Grey: what it is held against. With 95% intervals.",
                   x="method", y=metric, group="target" if several else "", percent=True,
                   under_test=(PATCHED,))
            for metric, title in (("f1", "F1 of the target class"), ("other_accuracy", "Accuracy on the other classes"))
        ],
    )  # fmt: skip
    for name, changed, title, right in (
        ("mended", findings.mended, "Images that the patch mended", "patched"),
        ("broken", findings.broken, "Images that the patch broke", "weak"),
    ):
        if changed.count:
            caption = (
                f"{changed.count} of {findings.images} test images; {len(changed.images)} of them are shown. The weak "
                f"network's answer → the patched network's; the {right} network is right."
            )
            answers = zip(changed.before.tolist(), changed.after.tolist(), strict=True)
            labels = [f"{findings.classes[before]} → {findings.classes[after]}" for before, after in answers]
            yield sheet(name, changed.images, labels, title, caption)
    if len(findings.classes) <= CONFUSED:
        yield _confusion(findings)


def patch_opening(options: Patch, names: Sequence[str], weak: ImageData, strong: ImageData) -> Opening:
    """How the page begins before anything has trained."""
    said, targets = images_said(options.strong["data"]), listed(names)
    counts, first = weak.sets["train"].per_class.tolist(), len(weak.classes) - len(names)
    few, others = counts[-1], max(counts[:first], default=0)
    shared = len({*weak.classes} & {*strong.classes}) - len(names)
    known = f"other classes (of the weak network's {first} others it knows {shared})"
    return Opening(
        f"Does a module of a strong network mend a weak one on {targets} ({said})?",
        f"A weak network classifies {targets} badly: here a small network that has learned from {few} images of it and "
        f"from up to {others} of each other class. A strong network knows {targets} well, among {known}; a genetic "
        "search finds which of its kernels (filters) this class needs, and cuts them out as a module. The patch joins "
        f"both without further training: the module's score for {targets}, turned into a probability on validation "
        "images, takes the place of the weak network's, and the largest probability wins. It helps if F1 surely rises "
        "over a weak network that is only tuned to say the class more or less often, and if the other classes lose at "
        f"most {MOST_LOST:.0%}.",
        terms=TERMS,
    )


def patch_steps(findings: PatchFindings, modules: ModuleFindings, trial: Trial) -> tuple[list[Step], list[Panel]]:
    """The drawing of what was done, and its pictures."""
    target, strong, weak = findings.targets[0], trial.modules.strong, trial.weak
    f1 = {method: estimates["f1"].value for method, estimates in target.against_weak.estimates.items()}
    learned = int(strong.data.sets["train"].per_class.max())
    kept = modules.kernels_retained[trial.columns[0]].item()
    test, known = trial.sets["test"], strong.data.sets["test"]
    of_target = test.images[test.labels == trial.targets[0]]
    steps = [
        Step("", "strong network", f"{network_said(strong.subject)}, {len(known.classes)} classes, {learned} "
             "images each",
             f"{modules.accuracy['strong'].value:.1%} right", "step_strong"),
        Step("→", f"module of '{target.name}'", "found by a genetic search", f"keeps {kept:.0%} of the kernels"),
        Step("+", "weak network", f"{network_said(weak.subject)}, learned from {findings.trained_on} images like these",
             f"F1 {f1[WEAK]:.1%}", "step_weak"),
        Step("=", "patched network", f"the module answers for '{target.name}', the weak network for the rest",
             f"F1 {f1[PATCHED]:.1%}"),
        Step("against", "tuned bias", f"the weak network says '{target.name}' as often as is best, no module",
             f"F1 {f1[BIAS]:.1%}"),
    ]  # fmt: skip
    return steps, [picture("step_strong", known.images), picture("step_weak", of_target)]


def _confusion(findings: PatchFindings) -> Panel:
    """What each class's images are taken for, before and after."""
    columns = {}
    for name, counts in (("before", findings.before), ("after", findings.after)):
        columns[name] = (counts / counts.sum(1, keepdim=True).clamp_min(1)).flatten().tolist()
    count = len(findings.classes)
    rows = {
        "class": [name for name in findings.classes for _ in range(count)],
        "answer": [*findings.classes] * count,
        **columns,
    }
    shares = "Share of each class's test images with each answer."
    missed = " ".join(_missed(target.name, findings) for target in findings.targets)
    figures = [
        Figure("heatmap", "confusion", title, caption.strip(), x="answer", y="class", value=name, percent=True)
        for name, title, caption in (
            ("before", "Confusions before the patch", shares),
            ("after", "Confusions after the patch", f"{shares} {missed}"),
        )
    ]
    return Panel("", "confusion", rows, units=dict.fromkeys(columns, "%"), figures=figures)


def _missed(name: str, findings: PatchFindings) -> str:
    """What the patched network still takes images of the target class for, and why."""
    target = findings.classes.index(name)
    answers = findings.after[target].clone()
    images = int(answers.sum())
    answers[target] = 0
    missed, most = int(answers.sum()), int(answers.argmax())
    if not missed:
        return ""
    return (
        f"{missed} of {images} images of '{name}' are still missed, {int(answers[most])} of them for "
        f"'{findings.classes[most]}': there the weak network is surer of its answer than the module of '{name}'."
    )


def patch_verdict(patch: PatchFindings, modules: ModuleFindings) -> Verdict:
    """Whether the patch helps every target class."""
    metrics: dict[str, Estimate] = {}
    for target in patch.targets:
        prefix = f"{target.name}/" if len(patch.targets) > 1 else ""
        metrics |= {
            f"{prefix}f1_gain_over_tuned_bias": target.f1_gain,
            f"{prefix}f1_weak": target.against_weak.estimates[WEAK]["f1"],
            f"{prefix}f1_tuned_bias": target.against_weak.estimates[BIAS]["f1"],
            f"{prefix}f1_patched": target.against_weak.estimates[PATCHED]["f1"],
            f"{prefix}other_accuracy_gain": target.other_accuracy_gain,
        }
    return Verdict(
        " ".join(_sentence(target) for target in patch.targets),
        "success" if patch.succeeds else "no success",
        metrics=metrics | module_metrics(modules),
        units={
            **dict.fromkeys(("f1_weak", "f1_tuned_bias", "f1_patched"), "%"),
            **dict.fromkeys(("f1_gain_over_tuned_bias", "other_accuracy_gain"), "points"),
            **METRIC_UNITS,
        },
        row={"target": ", ".join(target.name for target in patch.targets)},
        screen=("patch",),
    )


def _rows(target: TargetFindings, findings: PatchFindings, several: bool) -> Iterator[dict[str, Any]]:
    for method, estimates in target.against_weak.estimates.items():
        row: dict[str, Any] = {"target": target.name} if several else {}
        row |= {"method": method}
        row |= target.against_bias.gains[method]["f1"].columns("f1_gain")
        for metric in ("f1", *(metric for metric in METRICS if metric != "f1")):
            row |= estimates[metric].columns(metric)
        yield row | {"labelled": findings.trained_on if method == WEAK else findings.labelled}


def _sentence(target: TargetFindings) -> str:
    estimates, gain = target.against_weak.estimates, target.f1_gain
    f1 = {method: each["f1"].value for method, each in estimates.items()}
    controls = [f"{words} {f1[method]:.1%}" for method, words in CONTROLS.items() if method in f1]
    helps = "helps" if target.helps else "does not help"
    faults = [] if gain.low > 0 else ["a tuned bias does better" if gain.high < 0 else "its gain may be chance"]
    faults += [] if target.spares_others else [f"the other classes lose more than {MOST_LOST:.0%}"]
    why = f" ({' and '.join(faults)})" if faults else ""
    return (
        f"Patching {helps} '{target.name}'{why}: its F1 is {f1[WEAK]:.1%} by the "
        f"weak network, {f1[BIAS]:.1%} with a tuned bias, and {f1[PATCHED]:.1%} with the patch, {_points(gain.value)} "
        f"[{_points(gain.low)}, {_points(gain.high)}] points over the tuned bias; accuracy on the other classes "
        f"{_points(target.other_accuracy_gain.value)} points."
        + (f" For comparison: {', '.join(controls)}." if controls else "")
    )


def _points(value: float) -> str:
    return f"{100 * value:+.1f}"
