"""``task=patch``: patch a weak network on its target class with a module of a strong one (CNNSplitter, ASE 2022)."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from src.activations import predict
from src.calibration import class_weights, fit_temperature
from src.cost import cost
from src.data.datamodule import ImageData
from src.data.image_set import ImageSet, concatenate
from src.data.splits import drop_seen
from src.errors import UserError
from src.modularity.controls import random_kernels
from src.modularity.evaluation import Evaluator
from src.modularity.patch_metrics import METRICS, Comparison, compare
from src.modularity.patched import Patch
from src.modularity.patching import compose, fit_calibration, module_score, tuned_bias
from src.result import Estimate, Figure, Result
from src.store import Store
from src.subjects import patched_subject, save_subject
from src.tasks.modularize import Modules, add_modules, modules_of, save_modules
from src.tasks.pictures import contact_sheet
from src.tasks.train import Trained, add_history, did_not_train, images_of, trained
from src.training.determinism import derive

if TYPE_CHECKING:
    from src.report.session import Session

MOST_LOST = 0.01  # accuracy on the other classes that a successful patch may cost

WEAK, PATCHED, BIAS, RETRAINED = "weak", "patched", "tuned bias", "retrained"
STRONG, RANDOM, WRONG = "strong network as patch", "random kernels", "module of a wrong class"


def patch(config: Mapping[str, Any], store: Store, session: Session) -> Result:
    """Train a strong and a weak network, cut the strong one into modules, patch the weak one, and judge the patch."""
    weak_data = images_of(config["weak"], session, "weak")
    strong_data = images_of(config["strong"], session, "strong")
    names = _target_names(config, weak_data, strong_data)
    strong = trained(config["strong"], store, session, role="strong", config=config, data=strong_data)
    result = Result("patch", config["name"], uses=[strong.digest])
    if not strong.converged:
        return _no_verdict(result, "the strong network", strong)
    modules = modules_of(config, strong, store, session)
    weak = trained(config["weak"], store, session, role="weak", config=config, data=weak_data)
    result.uses += [modules.digest, weak.digest]
    if not weak.converged:
        return _no_verdict(result, "the weak network", weak)
    session.events.extend(_shared_images(strong, weak))
    again = trained(
        {**config["weak"], "select": "last"},
        store,
        session,
        role="weak, retrained",
        config=config,
        data=all_labelled(weak_data, len(names)),
        change="all labelled images, targets repeated to balance",
    )
    with session.stage("patch: composition and controls") as advance:
        trial = Trial(config, modules, weak, names)
        predictions = trial.predictions(again, advance)
    add_patch(result, trial, predictions)
    with session.stage("modules: test"):
        add_modules(result, modules, config)
    add_history(result, {"strong": strong, "weak": weak})
    result.screen = ["patch", "composition", "modules"]
    save_modules(modules, session.folder)
    save_subject(trial.patched_network(), session.folder / "patched")
    return result


class Trial:
    """A weak network, the modules that may patch it, and the images both are judged on.

    Args:
        config: ``calibration``, ``random_draws``, ``resamples``, ``seed``.
        names: the target classes, last in the weak network's classes, each known to the strong network.
    """

    def __init__(self, config: Mapping[str, Any], modules: Modules, weak: Trained, names: Sequence[str]) -> None:
        self.config, self.modules, self.weak = config, modules, weak
        self.sets = {part: weak.data.sets[part] for part in ("validation", "test")}
        self.targets = [weak.data.classes.index(name) for name in names]
        self.columns = [modules.strong.data.classes.index(name) for name in names]
        self.evaluators = {part: modules.evaluator(images) for part, images in self.sets.items()}
        self.weak_logits = {
            part: predict(weak.subject.model, weak.subject.normalise(images.images))
            for part, images in self.sets.items()
        }
        self.labels = self.sets["test"].labels
        validation = self.sets["validation"].labels
        self.weight = class_weights(validation, len(weak.data.classes))  # every class as frequent, as in use
        self.temperature = 1.0
        if config["calibration"] == "platt":
            self.temperature = fit_temperature(self.weak_logits["validation"], validation, weight=self.weight)
        own = weak.data.sets["train"].per_class[self.targets].sum()
        self.trained_on = int(own)
        self.labelled = int(own + self.sets["validation"].per_class[self.targets].sum())

    def predictions(self, again: Trained, advance: Any) -> dict[str, Tensor]:
        """Predicted classes (n,) of every method on the test images, (draws, n) of the random kernels."""
        keep = self.modules.keep[self.columns]
        classes = len(self.modules.keep)
        wrong = [next(c for c in _after(column, classes) if c not in self.columns) for column in self.columns]
        found = {
            WEAK: self.weak_logits["test"].argmax(1),
            PATCHED: self.with_modules(keep, self.columns),
            BIAS: self.with_bias(),
            RETRAINED: predict(again.subject.model, again.subject.normalise(self.sets["test"].images)).argmax(1),
            STRONG: self.with_modules(torch.ones_like(keep), self.columns),
            WRONG: self.with_modules(self.modules.keep[wrong], wrong),
        }
        advance()
        draws = []
        for draw in range(self.config["random_draws"]):
            generator = torch.Generator().manual_seed(derive("random kernels", self.config["seed"], draw))
            taken = [random_kernels(row, self.modules.plan.group_index, generator) for row in keep]
            draws.append(self.with_modules(torch.stack(taken), self.columns))
            advance()
        found[RANDOM] = torch.stack(draws)
        return found

    def with_modules(self, keep: Tensor, columns: Sequence[int]) -> Tensor:
        """Predictions when sub-networks ``keep`` bool (T, K) of the strong network answer for the targets."""
        scores = {}
        for target, column, kept in zip(self.targets, columns, keep, strict=True):
            calibration = self._calibration(target, column, kept)
            scores[target] = calibration(self._score(self.evaluators["test"], kept, column))
        return compose((self.weak_logits["test"] / self.temperature).softmax(1), scores).argmax(1)

    def with_bias(self) -> Tensor:
        """Predictions of the weak network with each target's logit raised or lowered for the best validation F1."""
        logits = {part: found.double().clone() for part, found in self.weak_logits.items()}
        for target in self.targets:
            bias = tuned_bias(logits["validation"], self.sets["validation"].labels, target, weight=self.weight)
            for found in logits.values():
                found[:, target] += bias
        return logits["test"].argmax(1)

    def _calibration(self, target: int, column: int, kept: Tensor) -> Any:
        method = self.config["calibration"]
        if method == "platt":
            scores = self._score(self.evaluators["validation"], kept, column)
            return fit_calibration(method, scores, self.sets["validation"].labels == target, weight=self.weight)
        # the paper's ranges look at images of the class from the strong network's data
        images = self.modules.strong.data.sets["calibration"]
        scores = self._score(self.modules.evaluator(images), kept, column)
        return fit_calibration(method, scores, images.labels == column)

    def _score(self, evaluator: Evaluator, kept: Tensor, column: int) -> Tensor:
        return module_score(evaluator.all_logits(kept), column, self.config["module_score"])

    def patched_network(self) -> Any:
        """The patched network as a subject of its own."""
        subjects = [self.modules.subject(column) for column in self.columns]
        patches = [
            Patch.of(
                target,
                column,
                subject.model,
                self._calibration(target, column, self.modules.keep[column]),
                self.config["module_score"],
            )
            for target, column, subject in zip(self.targets, self.columns, subjects, strict=True)
        ]
        return patched_subject(self.weak.subject, subjects, patches, self.temperature)


def all_labelled(data: ImageData, targets: int) -> ImageData:
    """The weak data with its validation images trained on as well, and target images repeated as often as others.

    What someone would do who has these labelled images and no strong network.
    """
    merged = concatenate([data.sets["train"], data.sets["validation"]])
    counts = merged.per_class
    first = len(counts) - targets
    repeats = (counts[:first].double().mean() / counts[first:]).round().long().clamp_min(1)
    own = [(merged.labels == first + k).nonzero().flatten().repeat(int(times) - 1) for k, times in enumerate(repeats)]
    everything = torch.cat([torch.arange(len(merged)), *own])
    more = copy.copy(data)
    more.sets = {**data.sets, "train": merged.select(everything)}
    return more


def add_patch(result: Result, trial: Trial, predictions: Mapping[str, Tensor]) -> None:
    """Compare all methods on the test images and judge the patch."""
    config, labels = trial.config, trial.labels
    draws = max(found.shape[0] if found.dim() == 2 else 1 for found in predictions.values())
    many = {name: found.expand(draws, -1) if found.dim() == 1 else found for name, found in predictions.items()}
    rows: list[dict[str, Any]] = []
    sentences, succeeded = [], True
    for target in trial.targets:
        name = trial.weak.data.classes[target]
        found, gains = (
            compare(many, labels, target, reference=reference, resamples=config["resamples"], seed=config["seed"],
                    patched=[other for other in trial.targets if other != target])
            for reference in (WEAK, BIAS)
        )  # fmt: skip
        rows += _rows(found, gains, name if len(trial.targets) > 1 else "", _labelled(trial, draws))
        gain, lost = gains.gains[PATCHED]["f1"], found.gains[PATCHED]["other_accuracy"]
        won = gain.low > 0 and lost.value >= -MOST_LOST
        succeeded &= won
        sentences.append(_sentence(name, found, gain, lost, won))
        prefix = f"{name}/" if len(trial.targets) > 1 else ""
        result.metrics |= {
            f"{prefix}f1_weak": found.estimates[WEAK]["f1"],
            f"{prefix}f1_patched": found.estimates[PATCHED]["f1"],
            f"{prefix}f1_gain_over_tuned_bias": gain,
            f"{prefix}other_accuracy_gain": lost,
        }
    result.verdict, result.verdict_kind = " ".join(sentences), "success" if succeeded else "no success"
    result.tables["patch"] = {key: [row[key] for row in rows] for key in rows[0]}
    weak, strong = trial.weak.subject, trial.modules.strong.subject
    module_macs = sum(trial.modules.costs()[column].macs for column in trial.columns)
    result.captions["patch"] = (
        f"On {int((labels == trial.targets[0]).sum())} target and {len(labels)} images in all, none of which trained or "
        "tuned anything; 95% intervals by paired bootstrap. Labelled: target images a method used to train, tune or "
        f"calibrate. Gain: F1 against the tuned bias. Patched costs {cost(weak.model, weak.input_shape).macs / 1e6:.2f} M "
        f"+ {module_macs / 1e6:.2f} M multiply-adds per image, the strong network "
        f"{cost(strong.model, strong.input_shape).macs / 1e6:.2f} M."
    )
    result.units |= dict.fromkeys(("precision", "recall", "f1", "other_accuracy", "f1_weak", "f1_patched"), "%")
    result.units |= dict.fromkeys(("f1_gain", "f1_gain_over_tuned_bias", "other_accuracy_gain"), "points")
    for value, title in (("f1", "F1 of the target class"), ("other_accuracy", "Accuracy on the other classes")):
        result.figures.append(
            Figure("bars", "patch", title, "With 95% intervals. Everything but 'weak' and 'patched' is a control.",
                   x="method", y=value, percent=True)
        )  # fmt: skip
    _add_pictures(result, trial, predictions)


def _rows(found: Comparison, gains: Comparison, target: str, labelled: Mapping[str, int]) -> list[dict[str, Any]]:
    rows = []
    for method, estimates in found.estimates.items():
        row: dict[str, Any] = {"target": target} if target else {}
        row |= {"method": method, "labelled": labelled[method]}
        columns = {metric: estimates[metric] for metric in METRICS} | {"f1_gain": gains.gains[method]["f1"]}
        for column, value in columns.items():
            row |= {column: value.value, f"{column}_low": value.low, f"{column}_high": value.high}
        rows.append(row)
    return rows


def _labelled(trial: Trial, draws: int) -> dict[str, int]:
    methods = (PATCHED, BIAS, RETRAINED, STRONG, WRONG, RANDOM)
    return {WEAK: trial.trained_on, **dict.fromkeys(methods, trial.labelled)}


def _sentence(name: str, found: Comparison, gain: Estimate, lost: Estimate, won: bool) -> str:
    before, after = found.estimates[WEAK]["f1"].value, found.estimates[PATCHED]["f1"].value
    return (
        f"Patching {'helps' if won else 'does not help'} '{name}': F1 {before:.1%} -> {after:.1%}, "
        f"{_points(gain.value)} [{_points(gain.low)}, {_points(gain.high)}] points against the weak network with a tuned "
        f"bias; accuracy on the other classes {_points(lost.value)} points."
    )


def _points(value: float) -> str:
    return f"{100 * value:+.1f}"


def _add_pictures(result: Result, trial: Trial, predictions: Mapping[str, Tensor]) -> None:
    """What the patch mended and what it broke, as images."""
    before, after = predictions[WEAK] == trial.labels, predictions[PATCHED] == trial.labels
    images = trial.sets["test"].images
    for name, chosen, title in (
        ("mended", ~before & after, "Images that the patch mended"),
        ("broken", before & ~after, "Images that the patch broke"),
    ):
        if bool(chosen.any()):
            result.images[name] = contact_sheet(images[chosen])
            result.figures.append(
                Figure(
                    "image", name, title, f"{int(chosen.sum())} of {len(images)} test images, the first of them shown."
                )
            )


def _target_names(config: Mapping[str, Any], weak: ImageData, strong: ImageData) -> list[str]:
    """Names of the target classes, in the order in which they end the weak network's classes."""
    given = config["target_class"]
    count = len(given) if isinstance(given, list) else 1
    names = list(weak.classes[-count:])
    for name in names:
        if name not in strong.classes:
            raise UserError(
                f"target_class={given}: the strong network has no class '{name}'; its classes: {', '.join(strong.classes)}"
            )
    if weak.input_shape != strong.input_shape:
        raise UserError(
            f"weak.data has images of shape {weak.input_shape}, strong.data {strong.input_shape}; "
            "give both sources the same size and channels"
        )
    if count >= len(strong.classes):
        raise UserError(f"target_class={given}: leave at least one class for the control with a wrong module")
    return names


def _shared_images(strong: Trained, weak: Trained) -> list[str]:
    """An event where the strong network was trained on images that calibrate or judge the patch."""
    known = strong.data.sets["train"]
    events = []
    for part in ("validation", "test"):
        images = weak.data.sets[part]
        same = drop_seen(_shape_only(images), _shape_only(known))[1]
        if same:
            events.append(
                f"{same} of the {len(images)} {part} images of the weak network were trained on by the strong one: "
                "its modules know them too well, take others"
            )
    return events


def _shape_only(images: ImageSet) -> ImageSet:
    return replace(images, masks=None, boxes=None, factors=None)


def _no_verdict(result: Result, who: str, network: Trained) -> Result:
    add_history(result, {who.removeprefix("the ").removesuffix(" network"): network})
    result.verdict, result.verdict_kind = did_not_train(who, network), "no verdict"
    return result


def _after(column: int, classes: int) -> list[int]:
    return [(column + step) % classes for step in range(1, classes)]
