"""What a patch does: a table of all methods, figures, pictures, and the sentence of the job."""

from collections.abc import Iterator
from typing import Any

from src.artifacts.trial import PATCHED, WEAK
from src.core.estimate import Estimate
from src.core.result import Figure, Panel, Verdict
from src.methods.modularity.patch_metrics import METRICS
from src.studies.patching.module_findings import ModuleFindings, module_metrics
from src.studies.patching.module_panels import METRIC_UNITS
from src.studies.patching.patch_findings import PatchFindings, TargetFindings
from src.studies.pictures import contact_sheet


def patch_panels(findings: PatchFindings) -> Iterator[Panel]:
    """All methods on each target class, and what the patch mended and what it broke, as images."""
    several = len(findings.targets) > 1
    yield Panel(
        "",
        "patch",
        [row for target in findings.targets for row in _rows(target, findings, several)],
        f"On {findings.target_images} target and {findings.images} images in all, none of which trained "
        "or tuned anything; 95% intervals by paired bootstrap. Labelled: target images that a method used to train, "
        "tune or calibrate; classes count alike there, as on the test images. F1 gain: against the tuned bias. "
        "Retrained: on all labelled images, targets repeated until as frequent as the others. Random kernels: as many "
        f"per layer, mean of {findings.draws} draws. Patched costs {findings.weak_macs / 1e6:.2f} M + "
        f"{findings.module_macs / 1e6:.2f} M multiply-adds per image, the strong network "
        f"{findings.strong_macs / 1e6:.2f} M.",
        {**dict.fromkeys(METRICS, "%"), "f1_gain": "points"},
        [
            Figure("bars", "patch", title, "With 95% intervals. Everything but 'weak' and 'patched' is a control.",
                   x="method", y=metric, group="target" if several else "", percent=True)
            for metric, title in (("f1", "F1 of the target class"), ("other_accuracy", "Accuracy on the other classes"))
        ],
    )  # fmt: skip
    for name, images, title in (
        ("mended", findings.mended, "Images that the patch mended"),
        ("broken", findings.broken, "Images that the patch broke"),
    ):
        if len(images):
            caption = f"{len(images)} of {findings.images} test images, the first of them shown."
            yield Panel("", name, contact_sheet(images), figures=[Figure("image", name, title, caption)])


def patch_verdict(patch: PatchFindings, modules: ModuleFindings) -> Verdict:
    """Whether the patch helps every target class."""
    metrics: dict[str, Estimate] = {}
    for target in patch.targets:
        prefix = f"{target.name}/" if len(patch.targets) > 1 else ""
        metrics |= {
            f"{prefix}f1_weak": target.against_weak.estimates[WEAK]["f1"],
            f"{prefix}f1_patched": target.against_weak.estimates[PATCHED]["f1"],
            f"{prefix}f1_gain_over_tuned_bias": target.f1_gain,
            f"{prefix}other_accuracy_gain": target.other_accuracy_gain,
        }
    return Verdict(
        " ".join(_sentence(target) for target in patch.targets),
        "success" if patch.succeeds else "no success",
        metrics=metrics | module_metrics(modules),
        units={
            **dict.fromkeys(("f1_weak", "f1_patched"), "%"),
            **dict.fromkeys(("f1_gain_over_tuned_bias", "other_accuracy_gain"), "points"),
            **METRIC_UNITS,
        },
        screen=("patch", "composition", "modules"),
    )


def _rows(target: TargetFindings, findings: PatchFindings, several: bool) -> Iterator[dict[str, Any]]:
    for method, estimates in target.against_weak.estimates.items():
        row: dict[str, Any] = {"target": target.name} if several else {}
        row |= {"method": method, "labelled": findings.trained_on if method == WEAK else findings.labelled}
        for metric in METRICS:
            row |= estimates[metric].columns(metric)
        yield row | target.against_bias.gains[method]["f1"].columns("f1_gain")


def _sentence(target: TargetFindings) -> str:
    estimates, gain = target.against_weak.estimates, target.f1_gain
    return (
        f"Patching {'helps' if target.helps else 'does not help'} '{target.name}': "
        f"F1 {estimates[WEAK]['f1'].value:.1%} -> {estimates[PATCHED]['f1'].value:.1%}, "
        f"{_points(gain.value)} [{_points(gain.low)}, {_points(gain.high)}] points against the weak network with a "
        f"tuned bias; accuracy on the other classes {_points(target.other_accuracy_gain.value)} points."
    )


def _points(value: float) -> str:
    return f"{100 * value:+.1f}"
