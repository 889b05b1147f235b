"""What modules are worth one by one and composed, on test images, which neither trained nor chose anything."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor

from src.artifacts.modules import Modules
from src.core.estimate import Estimate
from src.core.shown import Shown
from src.methods.modularity.ensemble import jaccard_difference
from src.methods.modularity.importance import kernel_strengths
from src.methods.modularity.patching import module_score
from src.methods.modularity.search_state import Generation
from src.methods.modularity.sensitivity import SensitivityCurves
from src.networks.activations import predict
from src.networks.cost import Cost, cost
from src.statistics.bootstrap import accuracies, auc
from src.statistics.calibration import fit_platt
from src.studies.patching.options import Modularize, Patch

FAVOURITES = 6  # kernels of each kind whose images are shown
IMAGES = 4  # of each kernel

#: Who classifies: the strong network, or all modules composed by their calibrated scores or by their raw logits.
Classifier = Literal["strong", "calibrated", "raw"]


@dataclass(frozen=True)
class Favourites(Shown):
    """What kernels of one layer answer to, of those that a class's module keeps and of those that it drops.

    Attributes:
        of: name of the class. layer: name of the layer, the last one of which the module keeps some and drops some.
        kernels: their numbers in the layer (k), the most important to the class first. kept: bool (k).
        images: uint8 (k, m, C, H, W), the test images to which each answers most. labels: int64 (k, m).
        filters, filters_kept: float32 (f, 1 or 3, h, w) of the first layer, and bool (f,); None where it reads another
            number of channels.
    """

    of: str
    layer: str
    kernels: Tensor
    kept: Tensor
    images: Tensor
    labels: Tensor
    filters: Tensor | None
    filters_kept: Tensor | None


@dataclass(frozen=True)
class ModuleFindings(Shown):
    """The modules of N classes, cut from L layers of a strong network.

    Attributes:
        classes: their names (N).
        layers: their names (L).
        accuracy, against_strong: of each classifier, and its difference to the strong network in pairs over images.
        kernels: int64 (N,) that each module keeps, of ``all_kernels``.
        kernels_retained: float32 (N,) the share of kernels.
        costs: of each module; ``strong_cost``: of the network that they were cut from.
        auc, auc_logit: float64 (N,), a class against all others, by the score in use and by the raw logit.
        recall_strong, recall_composed: float64 (N,) of the classes, by the strong network and the calibrated modules.
        evaluator: how candidates were run. search: the generations of the search.
        curves, sensitive, sensitivity_note: what thinning a layer costs; bool (L,) which layers the search was careful
            with; and how they were chosen.
        kept_kernels: float64 (N, L), share of a layer's kernels that a module keeps.
        differences: (N, N), Jaccard difference of the kept kernels.
        favourites: of one class.
    """

    classes: Sequence[str]
    layers: Sequence[str]
    accuracy: Mapping[Classifier, Estimate]
    against_strong: Mapping[Classifier, Estimate]
    kernels: Tensor
    all_kernels: int
    kernels_retained: Tensor
    costs: Sequence[Cost]
    strong_cost: Cost
    auc: Tensor
    auc_logit: Tensor
    recall_strong: Tensor
    recall_composed: Tensor
    evaluator: str
    search: Sequence[Generation]
    curves: SensitivityCurves
    sensitive: Tensor
    sensitivity_note: str
    kept_kernels: Tensor
    differences: Tensor
    favourites: Favourites

    @property
    def shares(self) -> dict[str, list[float]]:
        """What is told of all modules together, by its name as a metric: a number per module."""
        return {
            "kernels_retained": self.kernels_retained.tolist(),
            "macs_retained": [module.macs / self.strong_cost.macs for module in self.costs],
            "auc": self.auc.tolist(),
        }


def module_findings(modules: Modules, options: Modularize | Patch, pictured: int = 0) -> ModuleFindings:
    """Measure the modules; ``pictured`` is the class whose module is shown in pictures."""
    strong, plan, score = modules.strong, modules.plan, options.module_score
    test, held_out = strong.data.sets["test"], strong.data.sets["calibration"]
    outputs, known = modules.outputs(test), modules.outputs(held_out)
    raw = torch.stack([logits[:, c] for c, logits in enumerate(outputs)])
    scores = torch.stack([module_score(logits, c, score) for c, logits in enumerate(outputs)])
    calibrated = torch.empty_like(scores, dtype=torch.float64)
    for c, logits in enumerate(known):
        platt = fit_platt(module_score(logits, c, score), held_out.labels == c)
        calibrated[c] = platt(scores[c])
    predictions = {
        "strong": predict(strong.subject.model, strong.subject.normalise(test.images)).argmax(1),
        "calibrated": calibrated.argmax(0),
        "raw": raw.argmax(0),
    }
    accuracy, against_strong = accuracies(
        predictions, test.labels, "strong", resamples=options.resamples, seed=options.seed
    )
    kernels = modules.keep.long() @ plan.multiplicity
    count = len(strong.data.classes)
    return ModuleFindings(
        classes=strong.data.classes,
        layers=[group.name for group in plan.groups],
        accuracy={name: accuracy[name] for name in get_args(Classifier)},
        against_strong={name: against_strong[name] for name in get_args(Classifier)},
        kernels=kernels,
        all_kernels=int(plan.multiplicity.sum()),
        kernels_retained=kernels / plan.multiplicity.sum(),
        costs=modules.costs(),
        strong_cost=cost(strong.subject.model, strong.subject.input_shape),
        auc=_against_all_others(scores, test.labels),
        auc_logit=_against_all_others(raw, test.labels),
        recall_strong=recalls(predictions["strong"], test.labels, count),
        recall_composed=recalls(predictions["calibrated"], test.labels, count),
        evaluator=modules.way,
        search=list(modules.history),
        curves=modules.curves,
        sensitive=modules.sensitive,
        sensitivity_note=modules.sensitivity,
        kept_kernels=torch.stack([modules.keep[:, part].double().mean(1) for part in plan.slices()], 1),
        differences=jaccard_difference(modules.keep, modules.keep, plan.multiplicity),
        favourites=favourites(modules, pictured),
    )


def favourites(modules: Modules, label: int) -> Favourites:
    """What the module of a class keeps, and what it drops, by the images that its kernels answer to."""
    subject, plan, test = modules.strong.subject, modules.plan, modules.strong.data.sets["test"]
    keep = modules.keep[label]
    parts = plan.slices()
    mixed = [index for index, part in enumerate(parts) if keep[part].any() and not keep[part].all()]
    index = mixed[-1] if mixed else len(parts) - 1
    strengths = kernel_strengths(subject.model, plan, subject.normalise(test.images))[:, parts[index]]
    importance = strengths[test.labels == label].mean(0)
    order = importance.argsort(descending=True, stable=True)
    kept = keep[parts[index]]
    kernels = torch.cat([order[kept[order]][:FAVOURITES], order[~kept[order]][:FAVOURITES]])
    best = strengths[:, kernels].argsort(dim=0, descending=True, stable=True)[:IMAGES].T
    first = subject.model.get_submodule(plan.groups[0].members[0])
    weight = getattr(first, "weight", None)
    filters = weight.detach().cpu() if weight is not None and weight.dim() == 4 and weight.shape[1] in (1, 3) else None
    return Favourites(
        of=modules.strong.data.classes[label],
        layer=plan.groups[index].name,
        kernels=kernels,
        kept=kept[kernels],
        images=torch.stack([test.images[rows].to("cpu") for rows in best]),
        labels=test.labels[best],
        filters=filters,
        filters_kept=None if filters is None else keep[parts[0]],
    )


def module_metrics(findings: ModuleFindings) -> dict[str, Estimate]:
    """What one job says of its modules; means over modules have no interval, for these are all there are."""
    return {
        "composed_against_strong": findings.against_strong["calibrated"],
        "composed_accuracy": findings.accuracy["calibrated"],
        "strong_accuracy": findings.accuracy["strong"],
        **{
            name: Estimate(sum(values) / len(values), n=len(values), unit="modules")
            for name, values in findings.shares.items()
        },
        "composed_accuracy_raw": findings.accuracy["raw"],
    }


def recalls(predicted: Tensor, labels: Tensor, classes: int) -> Tensor:
    """float64 (classes,): share of the images of a class that are predicted as such; NaN where there are none."""
    hits = torch.bincount(labels[predicted == labels], minlength=classes).double()
    return hits / torch.bincount(labels, minlength=classes)


def _against_all_others(scores: Tensor, labels: Tensor) -> Tensor:
    """float64 (N,): AUC of each row of ``scores`` (N, n) for the images of its class."""
    return torch.stack([auc(row, labels == c) for c, row in enumerate(scores)])
