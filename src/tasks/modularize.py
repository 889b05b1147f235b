"""``task=modularize``: cut a strong network into one module per class (CNNSplitter, Qi et al., ASE 2022)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from src.activations import predict
from src.calibration import fit_platt
from src.configuration import settings
from src.cost import Cost, cost
from src.data.image_set import ImageSet
from src.modularity.ensemble import composed_accuracy, jaccard_difference
from src.modularity.evaluation import Evaluator
from src.modularity.genome import GenomeLayout
from src.modularity.importance import importance_order, kernel_importance
from src.modularity.patching import module_score
from src.modularity.search import search
from src.modularity.search_settings import SearchSettings
from src.modularity.search_state import Generation
from src.modularity.sensitivity import SensitivityCurves, chosen_layers, sensitive_layers, sensitivity_curves
from src.result import Figure, Result, table_of, write_atomically
from src.slicing import SlicePlan, extract, plan_for, recalibrate
from src.statistics import Estimate, auc
from src.store import Key, Store
from src.subjects import Subject, kept_of, save_subject
from src.tasks.estimates import accuracies
from src.tasks.train import Trained, add_history, did_not_train, trained

if TYPE_CHECKING:
    from src.report.session import Session

CHECKPOINT = "search.safetensors"
VERSION = 1  # raise when the same strong network would be cut into other modules


@dataclass
class Modules:
    """The modules of a strong network: which kernels each of its N classes keeps.

    Attributes:
        keep: bool (N, K) over the plan's kernel axis.
        curves, sensitive: what thinning each layer costs, and bool (L,) which layers the search was careful with.
        found: what the search reported: ``history`` and the sentence on ``sensitivity``.
    """

    strong: Trained
    plan: SlicePlan
    keep: Tensor
    curves: SensitivityCurves
    sensitive: Tensor
    found: dict[str, Any]
    digest: str
    workers: int

    def evaluator(self, images: ImageSet) -> Evaluator:
        """Runs modules on raw images of any set, normalised as the strong network was trained."""
        subject = self.strong.subject
        return Evaluator(
            subject.model,
            self.plan,
            subject.normalise(images.images),
            workers=self.workers,
            calibration_images=self.strong.data.tensor("calibration")[0],
        )

    def outputs(self, images: ImageSet) -> Tensor:
        """(N, n, N): all outputs of every module."""
        evaluator = self.evaluator(images)
        return torch.stack([evaluator.all_logits(keep) for keep in self.keep])

    def network(self, target: int, keep: Tensor | None = None) -> nn.Module:
        """The module of a class as a slim network of its own, in eval mode."""
        network = extract(self.strong.subject.model, self.plan, self.keep[target] if keep is None else keep).eval()
        recalibrate(network, self.strong.data.tensor("calibration")[0])
        return network

    def subject(self, target: int) -> Subject:
        """The module as a subject: all N outputs are there, its own class is ``notes['target']``."""
        strong = self.strong.subject
        return Subject(
            self.network(target),
            strong.architecture,
            strong.classes,
            strong.mean,
            strong.std,
            kept_of(self.keep[target], self.plan.offsets),
            (self.strong.digest, self.digest),
            {"target": target},
        )

    def costs(self) -> list[Cost]:
        """Parameters and multiply-adds of each module."""
        shape = self.strong.subject.input_shape
        return [cost(extract(self.strong.subject.model, self.plan, keep), shape) for keep in self.keep]


def modularize(config: Mapping[str, Any], store: Store, session: Session) -> Result:
    """Train the strong network, cut it into modules, and measure the modules one by one and composed."""
    strong = trained(config["strong"], store, session, role="strong", config=config)
    result = Result("modularize", config["name"], uses=[strong.digest])
    add_history(result, {"strong": strong})
    if not strong.converged:
        result.verdict, result.verdict_kind = did_not_train("the strong network", strong), "no verdict"
        return result
    modules = modules_of(config, strong, store, session)
    result.uses.append(modules.digest)
    with session.stage("modules: evaluation"):
        add_modules(result, modules, config)
    save_modules(modules, session.folder)
    result.screen = ["composition", "modules"]
    composed, whole = result.metrics["composed_accuracy"], result.metrics["strong_accuracy"]
    result.verdict = (
        f"{len(modules.keep)} modules together classify {composed.value:.1%} of the test images right, the strong "
        f"network {whole.value:.1%}; a module keeps {result.metrics['kernels_retained'].value:.0%} of the kernels"
    )
    return result


def modules_of(config: Mapping[str, Any], strong: Trained, store: Store, session: Session) -> Modules:
    """The modules of a strong network, from the store or searched now.

    ``config`` has ``importance``, ``sensitivity``, ``search`` and ``seed``; everything else comes with ``strong``.
    """
    model, shape = strong.subject.model, strong.subject.input_shape
    plan = plan_for(model, shape)
    search_settings = settings(SearchSettings, {**config["search"], "seed": config["seed"]}, "search")
    key = Key(
        "modules",
        {name: config[name] for name in ("importance", "sensitivity", "search", "seed")} | {"epoch": strong.epoch},
        VERSION,
        (strong.digest,),
    )
    images, labels = strong.data.tensor("validation")
    held_out, held_out_labels = strong.data.tensor("calibration")
    classes = len(strong.data.classes)

    def build(folder: Path) -> dict[str, Any]:
        with session.stage("modules: importance"):
            importance = kernel_importance(model, plan, held_out, held_out_labels, classes, **config["importance"])
            order = importance_order(importance.values, plan.sizes)
        evaluator = Evaluator(model, plan, images, workers=config["workers"], calibration_images=held_out)

        with session.stage("modules: layer sensitivity") as advance:

            def accuracy(keep: Tensor) -> float:
                advance()
                return composed_accuracy(_own_logits(evaluator, keep), labels)

            curves = sensitivity_curves(accuracy, order, plan.sizes, config["sensitivity"]["ratios"])
        sensitive, note = _sensitive(curves, config["sensitivity"])
        with session.stage("modules: search", search_settings.generations + 1) as advance:

            def on_generation(generation: Generation) -> None:
                advance(accuracy=generation.accuracy, kernels=generation.retained)
                session.log("search", generation.generation, _numbers(generation))

            outcome = search(
                lambda c, keep: evaluator.logits(keep, c),
                GenomeLayout.paper(plan.sizes),
                order,
                sensitive,
                labels,
                plan.multiplicity,
                search_settings,
                checkpoint=folder / CHECKPOINT,
                on_generation=on_generation,
            )
        tensors = {"keep": outcome.keep, "order": order, "importance": importance.values}
        save_file({**tensors, "curves": curves.accuracy, "sensitive": sensitive}, folder / "modules.safetensors")
        found = {
            "history": [generation._asdict() for generation in outcome.history],
            "ratios": list(curves.ratios),
            "full_accuracy": curves.full_accuracy,
            "sensitivity": note,
        }
        write_atomically(folder / "search.json", json.dumps(found))
        (folder / CHECKPOINT).unlink()
        return {"events": [*importance.events, *outcome.events]}

    entry = store.make(key, build)
    if not entry.built:
        session.found("modules: search", entry.digest)
    for event in entry.notes["events"]:
        session.event(f"modules: {event}")
    tensors = load_file(entry.folder / "modules.safetensors")
    found = json.loads((entry.folder / "search.json").read_text())
    curves = SensitivityCurves(tensors["curves"], tuple(found["ratios"]), found["full_accuracy"])
    return Modules(strong, plan, tensors["keep"], curves, tensors["sensitive"], found, entry.digest, config["workers"])


def _own_logits(evaluator: Evaluator, keep: Tensor) -> Tensor:
    """(N, n): each module's logit of its own class; ``keep`` bool (N, K)."""
    return torch.stack([evaluator.logits(keep[c : c + 1], c)[0] for c in range(len(keep))])


def _sensitive(curves: SensitivityCurves, chosen: Mapping[str, Any]) -> tuple[Tensor, str]:
    if chosen["layers"] != "auto":
        return chosen_layers(chosen["layers"], len(curves.accuracy)), "the sensitive layers were chosen by hand"
    found = sensitive_layers(curves, kept=chosen["kept"], tolerance=chosen["tolerance"])
    return found.sensitive, found.note


def _numbers(generation: Generation) -> dict[str, float]:
    return {name: float(value) for name, value in generation._asdict().items() if name != "generation"}


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
        f"{whole.parameters:,} parameters. AUC: the class against all others on test images, by the score in use and by the raw logit."
    )
    for name in ("kernels_retained", "macs_retained", "auc"):
        values = result.tables["modules"][name]
        result.metrics[name] = Estimate(sum(values) / len(values), min(values), max(values), len(values), "modules")


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


def save_modules(modules: Modules, folder: Path) -> None:
    """Every module as a subject that other tasks and the user's own code can load."""
    for target, name in enumerate(modules.strong.data.classes):
        save_subject(modules.subject(target), folder / "modules" / f"{target:02d}_{_safe(name)}")


def _safe(name: str) -> str:
    return "".join(letter if letter.isalnum() or letter in "-_" else "_" for letter in name)[:40]


def _recalls(predicted: Tensor, labels: Tensor, classes: int) -> list[float]:
    hits = torch.bincount(labels[predicted == labels], minlength=classes).double()
    return (hits / torch.bincount(labels, minlength=classes)).tolist()
