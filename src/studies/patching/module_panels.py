"""What modules are worth one by one and composed: tables and figures."""

from collections.abc import Iterator, Mapping
from dataclasses import replace

import torch

from src.artifacts.network import Trained
from src.artifacts.opening import images_said, network_said, picture, sheet, with_article
from src.core.result import Figure, Opening, Panel, Step
from src.studies.patching.module_findings import Classifier, ModuleFindings
from src.studies.patching.options import Modularize

NAMES: Mapping[Classifier, str] = {
    "strong": "strong network",
    "calibrated": "modules, calibrated",
    "raw": "modules, raw logits",
}
#: of :func:`src.studies.patching.module_findings.module_metrics`
METRIC_UNITS = {
    **dict.fromkeys(("strong_accuracy", "composed_accuracy", "composed_accuracy_raw"), "%"),
    **dict.fromkeys(("kernels_retained", "macs_retained", "auc"), "%"),
    "composed_against_strong": "points",
}
MODULE_TERMS = {
    "strong_accuracy": "Accuracy of the strong network on all its classes.",
    "composed_accuracy": "Accuracy of all modules together, each answering for its class, scores calibrated.",
    "composed_accuracy_raw": "The same by the modules' raw scores, the paper's rule.",
    "composed_against_strong": "Accuracy of all modules together minus that of the strong network.",
    "kernels_retained": "Share of the strong network's kernels that a module keeps; as a metric their mean.",
    "macs_retained": "Share of the strong network's multiply-adds that a module costs; as a metric the mean of all.",
    "auc_logit": "AUC by the raw score.",
    "against_strong": "Accuracy minus that of the strong network.",
    "generation": "A round of the genetic search: candidates are mixed, changed, and the best kept.",
    "recall_strong": "Recall of the strong network on this class.",
    "recall_composed": "Recall of all modules together on this class.",
}
#: of the figures: quantities of a generation of the search, in words
QUANTITIES = {
    "accuracy": "accuracy of the best composition",
    "difference": "difference of its modules",
    "retained": "kernels kept",
}


def module_panels(findings: ModuleFindings, section: str = "") -> Iterator[Panel]:
    """Modules composed, one by one, and how they were found; under a heading of the page."""
    for panel in _module_panels(findings):
        yield replace(panel, section=section)


def _module_panels(findings: ModuleFindings) -> Iterator[Panel]:
    yield Panel(
        "",
        "composition",
        [
            {"network": NAMES[name], **accuracy.columns("accuracy"),
             **findings.against_strong[name].columns("against_strong")}
            for name, accuracy in findings.accuracy.items()
        ],
        "All modules composed against the network they were cut from, on all its classes (test images). Raw logits "
        "are the paper's rule; calibrated compares probabilities, so that a module's scale does not count as quality.",
        {"accuracy": "%", "against_strong": "points"},
    )  # fmt: skip
    yield _modules(findings)
    yield _search(findings)
    yield _sensitivity(findings)
    yield from _heatmaps(findings)
    yield from _favourites(findings)


def module_opening(options: Modularize) -> Opening:
    """How the page of the modules alone begins."""
    return Opening(
        f"How much of {with_article(network_said(options.strong['model']))} does a single class need "
        f"({images_said(options.strong['data'])})?",
        "A strong network is trained to tell all classes apart. A genetic search then finds for each class which of "
        "the network's kernels (filters) it needs, and cuts them out as a module: a smaller network that answers for "
        "this class alone. All modules together are compared with the network that they were cut from.",
        terms=MODULE_TERMS,
    )


def module_steps(findings: ModuleFindings, strong: Trained) -> tuple[list[Step], list[Panel]]:
    """The drawing of what was done, and its picture."""
    kept, accuracy = findings.shares["kernels_retained"], findings.accuracy
    steps = [
        Step("", "strong network", f"{network_said(strong.subject)}, knows {len(findings.classes)} classes",
             f"{accuracy['strong'].value:.1%} right", "step_strong"),
        Step("→", f"{len(findings.classes)} modules", "one for each class, found by a genetic search",
             f"keep {min(kept):.0%} to {max(kept):.0%} of the kernels"),
        Step("=", "all modules together", "each answers for its class; the surest one wins",
             f"{accuracy['calibrated'].value:.1%} right"),
        Step("against", "strong network", "all kernels", f"{accuracy['strong'].value:.1%} right"),
    ]  # fmt: skip
    return steps, [picture("step_strong", strong.data.sets["test"].images)]


def _modules(findings: ModuleFindings) -> Panel:
    shares, whole = findings.shares, findings.strong_cost
    least_to_greatest = ", ".join(
        f"{words} {min(shares[name]):.1%} to {max(shares[name]):.1%}"
        for name, words in (("kernels_retained", "kernels"), ("macs_retained", "multiply-adds"), ("auc", "AUC"))
    )
    percents = ("kernels_retained", "macs_retained", "auc", "auc_logit", "recall_strong", "recall_composed")
    return Panel(
        "",
        "modules",
        {
            "class": list(findings.classes),
            "kernels_retained": shares["kernels_retained"],
            "recall_composed": findings.recall_composed.tolist(),
            "recall_strong": findings.recall_strong.tolist(),
            "auc": shares["auc"],
            "auc_logit": findings.auc_logit.tolist(),
            "macs_retained": shares["macs_retained"],
            "kernels": findings.kernels.tolist(),
            "parameters": [module.parameters for module in findings.costs],
        },
        f"One module per class, cut from {findings.all_kernels} kernels, {whole.macs / 1e6:.1f} M multiply-adds and "
        f"{whole.parameters:,} parameters. AUC: the class against all others on test images, by the score in use and "
        f"by the raw logit. From the least to the greatest module: {least_to_greatest}.",
        dict.fromkeys(percents, "%"),
    )


def _search(findings: ModuleFindings) -> Panel:
    rows = [
        {"generation": generation.generation, "quantity": words, "share": getattr(generation, quantity)}
        for quantity, words in QUANTITIES.items()
        for generation in findings.search
    ]
    figure = Figure(
        "lines", "search", "The genetic search",
        "On validation images. The best ensemble of all generations is used, not the last. Candidates were run by the "
        f"evaluator '{findings.evaluator}'.",
        x="generation", y="share", group="quantity", percent=True,
    )  # fmt: skip
    return Panel("", "search", rows, units={"share": "%"}, figures=[figure])


def _sensitivity(findings: ModuleFindings) -> Panel:
    rows = [
        {"layer": f"{name} (sensitive)" if sensitive else name, "kept": ratio, "accuracy": accuracy}
        for name, sensitive, curve in zip(
            findings.layers, findings.sensitive.tolist(), findings.curves.accuracy.tolist(), strict=True
        )
        for ratio, accuracy in zip(findings.curves.ratios, curve, strict=True)
    ]
    figure = Figure(
        "heatmap", "sensitivity", "Layer sensitivity",
        "Composed accuracy on validation images when one layer alone is cut down to a share of its kernels, the most "
        f"important ones: {findings.sensitivity_note}.", x="kept", y="layer", value="accuracy", percent=True,
    )  # fmt: skip
    return Panel("", "sensitivity", rows, units={"kept": "%", "accuracy": "%"}, figures=[figure])


def _heatmaps(findings: ModuleFindings) -> Iterator[Panel]:
    """Per module (rows): its share of each layer's kernels, and how it differs from every module."""
    for table, column, names, value, shares, title, caption in (
        ("kept_kernels", "layer", findings.layers, "kept", findings.kept_kernels, "What the modules keep",
         "Share of each layer's kernels, per module."),
        ("module_differences", "other", findings.classes, "difference", findings.differences,
         "How different the modules are",
         "Jaccard difference of the kept kernels: 0 means the same kernels, 100 none in common."),
    ):  # fmt: skip
        rows = [
            {"class": module, column: name, value: share}
            for module, row in zip(findings.classes, shares.tolist(), strict=True)
            for name, share in zip(names, row, strict=True)
        ]
        figure = Figure("heatmap", table, title, caption, x=column, y="class", value=value, percent=True)
        yield Panel("", table, rows, units={value: "%"}, figures=[figure])


def _favourites(findings: ModuleFindings) -> Iterator[Panel]:
    """What a module keeps and drops, in pictures."""
    shown = findings.favourites
    for kept, name, words in ((True, "kept", "keeps"), (False, "dropped", "drops")):
        rows = (shown.kept == kept).nonzero().flatten().tolist()
        if rows:
            labels = [
                f"kernel {shown.kernels[row]}: {findings.classes[label]}"
                for row in rows
                for label in shown.labels[row].tolist()
            ]
            yield sheet(
                f"kernels_{name}",
                shown.images[rows].flatten(0, 1),
                labels,
                f"What the kernels see that the module of '{shown.of}' {words}",
                f"Of the kernels of layer {shown.layer} that it {words}, those that answer '{shown.of}' most; "
                "of each the test images, of any class, to which it answers most.",
                together=shown.images.shape[1],
            )
    if shown.filters is not None and shown.filters_kept is not None and not shown.filters_kept.all():
        low, high = (end.view(-1, 1, 1, 1) for end in shown.filters.flatten(1).aminmax(dim=1))
        pixels = ((shown.filters - low) / (high - low).clamp_min(1e-12) * 255).round().to(torch.uint8)
        labels = [
            f"{number}: {'kept' if kept else 'dropped'}" for number, kept in enumerate(shown.filters_kept.tolist())
        ]
        yield sheet("filters", pixels, labels, f"First layer: filters that the module of '{shown.of}' keeps",
                    "The weights of each filter as a picture; a module leaves the dropped ones out.")  # fmt: skip
