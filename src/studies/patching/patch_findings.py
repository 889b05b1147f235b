"""What a patch does to its target classes and to all others, against every control, on the same test images."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from src.artifacts.network import Trained
from src.artifacts.opening import PICTURED
from src.artifacts.trial import BIAS, PATCHED, WEAK, Trial
from src.core.estimate import Estimate
from src.core.shown import Shown
from src.data.image_set import ImageSet
from src.data.ranks import rank_within_class
from src.data.splits import drop_seen
from src.methods.modularity.patch_metrics import Comparison, compare
from src.networks.cost import cost
from src.studies.patching.options import Patch

MOST_LOST = 0.01  # accuracy on the other classes that a successful patch may cost


@dataclass(frozen=True)
class TargetFindings(Shown):
    """All methods on one target class, in pairs against the weak network and against its tuned bias."""

    name: str
    against_weak: Comparison
    against_bias: Comparison

    @property
    def f1_gain(self) -> Estimate:
        """Of the patch over the tuned bias."""
        return self.against_bias.gains[PATCHED]["f1"]

    @property
    def other_accuracy_gain(self) -> Estimate:
        """Of the patch over the weak network, on the classes that are not patched."""
        return self.against_weak.gains[PATCHED]["other_accuracy"]

    @property
    def spares_others(self) -> bool:
        """The other classes lose next to nothing."""
        return self.other_accuracy_gain.value >= -MOST_LOST

    @property
    def helps(self) -> bool:
        """The target class gains for certain, and the others lose next to nothing."""
        return self.f1_gain.low > 0 and self.spares_others


@dataclass(frozen=True)
class Changed(Shown):
    """Images that two networks answer differently, of each class in turn.

    Attributes:
        count: of all of them. images: uint8 (k, C, H, W), the first. before, after: int64 (k,), the answers.
    """

    count: int
    images: Tensor
    before: Tensor
    after: Tensor


@dataclass(frozen=True)
class PatchFindings(Shown):
    """A patch and its controls.

    Attributes:
        targets: the patched classes.
        images, target_images: test images, in all and of the first target class.
        trained_on, labelled: labelled images of the target classes that the weak network learned from, and that the
            other methods may use.
        draws: how often random kernels were drawn.
        weak_macs, module_macs, strong_macs: multiply-adds per image of the weak network, of all patches together, of
            the strong network.
        mended, broken: test images that the patch alone, that the weak network alone classifies right.
        before, after: int64 (classes, classes), true class by answer, of the weak and of the patched network.
        classes: their names.
    """

    targets: Sequence[TargetFindings]
    images: int
    target_images: int
    trained_on: int
    labelled: int
    draws: int
    weak_macs: int
    module_macs: int
    strong_macs: int
    mended: Changed
    broken: Changed
    before: Tensor
    after: Tensor
    classes: Sequence[str]

    @property
    def succeeds(self) -> bool:
        """Every target class is helped."""
        return all(target.helps for target in self.targets)


def patch_findings(trial: Trial, predictions: Mapping[str, Tensor], options: Patch) -> PatchFindings:
    """Compare all methods on the test images.

    Args:
        predictions: by method, classes (n,), or (draws, n) of random kernels.
    """
    labels, classes = trial.labels, trial.weak.data.classes
    before, after = predictions[WEAK] == labels, predictions[PATCHED] == labels
    weak, strong = trial.weak.subject, trial.modules.strong.subject
    costs = trial.modules.costs()
    return PatchFindings(
        targets=compared(
            predictions,
            labels,
            {target: trial.weak.data.classes[target] for target in trial.targets},
            resamples=options.resamples,
            seed=options.seed,
        ),
        images=len(labels),
        target_images=int((labels == trial.targets[0]).sum()),
        trained_on=trial.trained_on,
        labelled=trial.labelled,
        draws=_draws(predictions),
        weak_macs=cost(weak.model, weak.input_shape).macs,
        module_macs=sum(costs[column].macs for column in trial.columns),
        strong_macs=cost(strong.model, strong.input_shape).macs,
        mended=_changed(trial, predictions, ~before & after),
        broken=_changed(trial, predictions, before & ~after),
        before=confusions(labels, predictions[WEAK], len(classes)),
        after=confusions(labels, predictions[PATCHED], len(classes)),
        classes=classes,
    )


def _changed(trial: Trial, predictions: Mapping[str, Tensor], which: Tensor) -> Changed:
    rows = which.nonzero().flatten()
    # of each class in turn, for the images come sorted
    shown = rows[rank_within_class(trial.labels[rows]).argsort(stable=True)][:PICTURED]
    images = trial.sets["test"].images[shown]
    return Changed(len(rows), images, predictions[WEAK][shown], predictions[PATCHED][shown])


def confusions(labels: Tensor, answers: Tensor, classes: int) -> Tensor:
    """int64 (classes, classes): how many images of a class (rows) get which answer (columns)."""
    return torch.bincount(labels * classes + answers, minlength=classes**2).view(classes, classes)


def compared(
    predictions: Mapping[str, Tensor], labels: Tensor, targets: Mapping[int, str], *, resamples: int, seed: int
) -> list[TargetFindings]:
    """All methods on each target class.

    Args:
        predictions: by method, classes (n,) or (draws, n).
        labels: (n,).
        targets: label -> name of each patched class.
    """
    draws = _draws(predictions)
    repeated = {name: classes.expand(draws, -1) for name, classes in predictions.items()}

    def against(reference: str, target: int) -> Comparison:
        patched = [label for label in targets if label != target]
        return compare(repeated, labels, target, reference=reference, resamples=resamples, seed=seed, patched=patched)

    return [TargetFindings(name, against(WEAK, target), against(BIAS, target)) for target, name in targets.items()]


def _draws(predictions: Mapping[str, Tensor]) -> int:
    return max(len(classes) if classes.dim() == 2 else 1 for classes in predictions.values())


def shared_images(strong: Trained, weak: Trained) -> list[str]:
    """An event for each part of the weak network's images, which calibrate and judge, that trained the strong one."""
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
    return replace(images, masks=None, factors=None)
