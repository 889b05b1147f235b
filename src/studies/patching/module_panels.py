"""What modules are worth one by one and composed: tables and figures of a result."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from src.artifacts.modules import Modules
from src.core.estimate import Estimate
from src.core.result import Figure, Result, table_of
from src.methods.modularity.ensemble import jaccard_difference
from src.methods.modularity.patching import module_score
from src.networks.activations import predict
from src.networks.cost import cost
from src.statistics.bootstrap import auc
from src.statistics.calibration import fit_platt
from src.studies.composition.estimates import accuracies

if TYPE_CHECKING:
    pass


def add_modules(result: Result, modules: Modules, config: Mapping[str, Any]) -> None:
    """Measure the modules on the test images, which neither trained nor chose anything."""
    strong = modules.strong
    test, held_out = strong.data.sets["test"], strong.data.sets["calibration"]
    outputs, known = modules.outputs(test), modules.outputs(held_out)
    raw = torch.stack([answers[:, c] for c, answers in enumerate(outputs)])
    scores = torch.stack([module_score(answers, c, config["module_score"]) for c, answers in enumerate(outputs)])
    calibrated = torch.empty_like(scores, dtype=torch.float64)
    for c, answers in enumerate(known):
        platt = fit_platt(module_score(answers, c, config["module_score"]), held_out.labels == c)
        calibrated[c] = platt(scores[c])
    predictions = {
        "strong network": predict(strong.subject.model, strong.subject.normalise(test.images)).argmax(1),
        "modules, calibrated": calibrated.argmax(0),
        "modules, raw logits": raw.argmax(0),
    }
    found, differences = accuracies(
        predictions, test.labels, "strong network", resamples=config["resamples"], seed=config["seed"]
    )
    result.tables["composition"] = table_of(
        [
            {"network": name, "accuracy": found[name].value, "accuracy_low": found[name].low,
             "accuracy_high": found[name].high, "against_strong": differences[name].value,
             "against_strong_low": differences[name].low, "against_strong_high": differences[name].high}
            for name in predictions
        ]
    )  # fmt: skip
    result.captions["composition"] = (
        "All modules composed against the network they were cut from, on all its classes (test images). Raw logits "
        "are the paper's rule; calibrated compares probabilities, so that a module's scale does not count as quality."
    )
    result.metrics |= {
        "strong_accuracy": found["strong network"],
        "composed_accuracy": found["modules, calibrated"],
        "composed_accuracy_raw": found["modules, raw logits"],
        "composed_against_strong": differences["modules, calibrated"],
    }
    _add_module_table(result, modules, {"auc": scores, "auc_logit": raw}, predictions)
    _add_search_figures(result, modules)
    _add_kernel_figures(result, modules)
    result.units |= dict.fromkeys(
        ("accuracy", "strong_accuracy", "composed_accuracy", "composed_accuracy_raw", "kernels_retained",
         "macs_retained", "auc", "auc_logit", "recall_strong", "recall_composed", "kept", "difference", "share"), "%"
    ) | dict.fromkeys(("against_strong", "composed_against_strong"), "points")  # fmt: skip


def _add_module_table(
    result: Result, modules: Modules, judged: Mapping[str, Tensor], predictions: Mapping[str, Tensor]
) -> None:
    strong, labels = modules.strong, modules.strong.data.sets["test"].labels
    classes, weight = strong.data.classes, modules.plan.multiplicity
    kernels = modules.keep.long() @ weight
    whole = cost(strong.subject.model, strong.subject.input_shape)
    costs = modules.costs()
    result.tables["modules"] = {
        "class": list(classes),
        "kernels": kernels.tolist(),
        "kernels_retained": (kernels / weight.sum()).tolist(),
        "macs_retained": [own.macs / whole.macs for own in costs],
        "parameters": [own.parameters for own in costs],
        **{name: [float(auc(row, labels == c)) for c, row in enumerate(rows)] for name, rows in judged.items()},
        "recall_strong": _recalls(predictions["strong network"], labels, len(classes)),
        "recall_composed": _recalls(predictions["modules, calibrated"], labels, len(classes)),
    }
    result.captions["modules"] = (
        f"One module per class, cut from {int(weight.sum())} kernels, {whole.macs / 1e6:.1f} M multiply-adds and "
        f"{whole.parameters:,} parameters. AUC: the class against all others on test images, by the score in use and "
        "by the raw logit. From the least to the greatest module: "
    )
    ranges = []
    for name, words in (("kernels_retained", "kernels"), ("macs_retained", "multiply-adds"), ("auc", "AUC")):
        values = result.tables["modules"][name]
        ranges.append(f"{words} {min(values):.1%} to {max(values):.1%}")
        result.metrics[name] = Estimate(sum(values) / len(values), n=len(values), unit="modules")
    result.captions["modules"] += f"{', '.join(ranges)}."


def _add_search_figures(result: Result, modules: Modules) -> None:
    groups = [group.name for group in modules.plan.groups]
    result.tables["search"] = table_of(
        [
            {"generation": row["generation"], "quantity": quantity, "share": row[key]}
            for quantity, key in (("accuracy of the best composition", "accuracy"),
                                  ("difference of its modules", "difference"), ("kernels kept", "retained"))
            for row in modules.found["history"]
        ]
    )  # fmt: skip
    result.figures.append(
        Figure("lines", "search", "The genetic search",
               "On validation images. The best ensemble of all generations is used, not the last.",
               x="generation", y="share", group="quantity", percent=True)
    )  # fmt: skip
    result.tables["sensitivity"] = table_of(
        [
            {"layer": f"{name}{' (sensitive)' if modules.sensitive[index] else ''}", "kept": ratio,
             "accuracy": float(modules.curves.accuracy[index, column])}
            for index, name in enumerate(groups)
            for column, ratio in enumerate(modules.curves.ratios)
        ]
    )  # fmt: skip
    result.figures.append(
        Figure("lines", "sensitivity", "Layer sensitivity",
               "Composed accuracy on validation images when one layer alone is cut down to its most important kernels: "
               f"{modules.found['sensitivity']}.", x="kept", y="accuracy", group="layer", percent=True)
    )  # fmt: skip


def _add_kernel_figures(result: Result, modules: Modules) -> None:
    classes = modules.strong.data.classes
    result.tables["kept_kernels"] = table_of(
        [
            {"class": name, "layer": group.name, "kept": float(modules.keep[c, part].double().mean())}
            for c, name in enumerate(classes)
            for group, part in zip(modules.plan.groups, modules.plan.slices(), strict=True)
        ]
    )
    result.figures.append(
        Figure("heatmap", "kept_kernels", "What the modules keep", "Share of each layer's kernels, per module.",
               x="layer", y="class", value="kept", percent=True)
    )  # fmt: skip
    difference = jaccard_difference(modules.keep, modules.keep, modules.plan.multiplicity)
    result.tables["module_differences"] = table_of(
        [
            {"class": name, "other": other, "difference": float(difference[i, j])}
            for i, name in enumerate(classes)
            for j, other in enumerate(classes)
        ]
    )
    result.figures.append(
        Figure("heatmap", "module_differences", "How different the modules are",
               "Jaccard difference of the kept kernels: 0 means the same kernels, 100 none in common.",
               x="other", y="class", value="difference", percent=True)
    )  # fmt: skip


def _recalls(predicted: Tensor, labels: Tensor, classes: int) -> list[float]:
    hits = torch.bincount(labels[predicted == labels], minlength=classes).double()
    return (hits / torch.bincount(labels, minlength=classes)).tolist()
