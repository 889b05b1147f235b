"""A weak network, the modules that may patch it, the controls, and the images that judge them."""

import copy
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from src.artifacts.modules import Modules
from src.artifacts.network import Trained
from src.artifacts.options import PatchedOptions
from src.core.errors import UserError
from src.data.datamodule import ImageData
from src.data.image_set import concatenate
from src.methods.modularity.evaluation import Evaluator
from src.methods.modularity.patched import Patch, patched_subject
from src.methods.modularity.patching import compose, fit_calibration, module_score, random_kernels, tuned_bias
from src.networks.activations import predict
from src.statistics.calibration import class_weights, fit_temperature
from src.training.determinism import derive

WEAK, PATCHED, BIAS, RETRAINED = "weak", "patched", "tuned bias", "retrained"
STRONG, RANDOM, WRONG = "strong network as patch", "random kernels", "module of a wrong class"


class Trial:
    """A weak network, the modules that may patch it, and the images both are judged on.

    Args:
        options: how scores are calibrated.
        names: the target classes, last in the weak network's classes, each known to the strong network.
    """

    def __init__(self, options: PatchedOptions, modules: Modules, weak: Trained, names: Sequence[str]) -> None:
        self.options, self.modules, self.weak = options, modules, weak
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
        if options.calibration == "platt":
            self.temperature = fit_temperature(self.weak_logits["validation"], validation, weight=self.weight)
        self.trained_on = int(weak.data.sets["train"].per_class[self.targets].sum())
        self.labelled = self.trained_on + int(self.sets["validation"].per_class[self.targets].sum())

    def predictions(self, retrained: Trained, draws: int, advance: Callable[[], None]) -> dict[str, Tensor]:
        """Predicted classes (n,) of every method on the test images, (draws, n) of the random kernels.

        Args:
            retrained: the weak network after a training on all labelled images.
            draws: of random kernels.
            advance: called after each step, for a bar.
        """
        keep = self.modules.keep[self.columns]
        classes = len(self.modules.keep)
        wrong = [
            next(c for step in range(1, classes) if (c := (column + step) % classes) not in self.columns)
            for column in self.columns
        ]
        again = retrained.subject
        predictions = {
            WEAK: self.weak_logits["test"].argmax(1),
            PATCHED: self.with_modules(keep, self.columns),
            BIAS: self.with_bias(),
            RETRAINED: predict(again.model, again.normalise(self.sets["test"].images)).argmax(1),
            STRONG: self.with_modules(torch.ones_like(keep), self.columns),
            WRONG: self.with_modules(self.modules.keep[wrong], wrong),
        }
        advance()
        of_draws = []
        for draw in range(draws):
            generator = torch.Generator().manual_seed(derive("random kernels", self.options.seed, draw))
            taken = [random_kernels(row, self.modules.plan.group_index, generator) for row in keep]
            of_draws.append(self.with_modules(torch.stack(taken), self.columns))
            advance()
        predictions[RANDOM] = torch.stack(of_draws)
        return predictions

    def with_modules(self, keep: Tensor, columns: Sequence[int]) -> Tensor:
        """Predictions when sub-networks ``keep`` bool (T, K) of the strong network answer for the targets."""
        scores = {}
        for target, column, kernels in zip(self.targets, columns, keep, strict=True):
            calibration = self._calibration(target, column, kernels)
            scores[target] = calibration(self._score(self.evaluators["test"], kernels, column))
        return compose((self.weak_logits["test"] / self.temperature).softmax(1), scores).argmax(1)

    def with_bias(self) -> Tensor:
        """Predictions of the weak network with each target's logit raised or lowered for the best validation F1."""
        logits = {part: raised.double().clone() for part, raised in self.weak_logits.items()}
        for target in self.targets:
            bias = tuned_bias(logits["validation"], self.sets["validation"].labels, target, weight=self.weight)
            for raised in logits.values():
                raised[:, target] += bias
        return logits["test"].argmax(1)

    def _calibration(self, target: int, column: int, kernels: Tensor) -> Any:
        method = self.options.calibration
        if method == "platt":
            scores = self._score(self.evaluators["validation"], kernels, column)
            return fit_calibration(method, scores, self.sets["validation"].labels == target, weight=self.weight)
        # the paper's ranges look at images of the class from the strong network's data
        images = self.modules.strong.data.sets["calibration"]
        scores = self._score(self.modules.evaluator(images), kernels, column)
        return fit_calibration(method, scores, images.labels == column)

    def _score(self, evaluator: Evaluator, kernels: Tensor, column: int) -> Tensor:
        return module_score(evaluator.all_logits(kernels), column, self.options.module_score)

    def patched_network(self) -> Any:
        """The patched network as a subject of its own."""
        subjects = [self.modules.subject(column) for column in self.columns]
        patches = [
            Patch.of(
                target,
                column,
                subject.model,
                self._calibration(target, column, self.modules.keep[column]),
                self.options.module_score,
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
    more = [(merged.labels == first + k).nonzero().flatten().repeat(int(times) - 1) for k, times in enumerate(repeats)]
    everything = torch.cat([torch.arange(len(merged)), *more])
    labelled = copy.copy(data)
    labelled.sets = {**data.sets, "train": merged.select(everything)}
    return labelled


def check_target(options: PatchedOptions, strong: ImageData) -> None:
    """Say what is wrong with the target class in the words of the one who chose it, before the weak data is mixed."""
    given, chosen = shown(options), options.strong["data"].get("classes")
    numbers = list(chosen or range(len(strong.classes)))
    for item in options.targets:
        known = numbers if isinstance(item, int) else strong.classes
        if item not in known and any(isinstance(other, type(item)) for other in known):
            listed = ", ".join(f"{number} {name}" for number, name in zip(numbers, strong.classes, strict=True))
            raise UserError(f"target_class={given}: the strong network has no class {item}; its classes: {listed}")


def target_names(options: PatchedOptions, weak: ImageData, strong: ImageData) -> list[str]:
    """Names of the target classes, in the order in which they end the weak network's classes."""
    given, count = shown(options), len(options.targets)
    names = list(weak.classes[-count:])
    for name in names:
        if name not in strong.classes:
            raise UserError(
                f"target_class={given}: the strong network has no class '{name}'; "
                f"its classes: {', '.join(strong.classes)}"
            )
    if weak.input_shape != strong.input_shape:
        raise UserError(
            f"weak.data has images of shape {weak.input_shape}, strong.data {strong.input_shape}; "
            "give both sources the same size and channels"
        )
    if count >= len(strong.classes):
        raise UserError(f"target_class={given}: leave at least one class for the control with a wrong module")
    return names


def shown(options: PatchedOptions) -> int | str | list[int | str]:
    """The target class as it was written."""
    return options.targets if isinstance(options.target_class, tuple) else options.target_class
