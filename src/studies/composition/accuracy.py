"""Every rule of composition against the monolith: accuracy, probabilities, agreement with the tree."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from src.core.estimate import Estimate
from src.methods.hierarchy.composition import RULES
from src.methods.hierarchy.nodes import Tree
from src.statistics.bootstrap import accuracies
from src.statistics.calibration import ece, micro_auc, per_image

MONOLITH = "monolith"  # its name in tables
ALARM = 0.9  # of all answers; an ImageNet study went unnoticed at 1.0 (reference: L. Friedrichsen 2020, ch. 5)


def of_rule(rule: str) -> str:
    """The name in tables of the modules composed by a rule."""
    return f"modules, {rule}"


HARD = of_rule("hard")
#: name of a network in tables -> its key in the names of tables of its own
KEYS = {MONOLITH: "monolith", **{of_rule(rule): f"modules_{rule}" for rule in RULES}}


@dataclass(frozen=True)
class Accuracy:
    """What one network's answers to the test images are worth; all but the last are means over them.

    Attributes:
        against_monolith: the difference of the accuracies, on the same images.
        superclass_accuracy: right branch of the root.
        within_superclass: right class, of the images in the right branch.
        semantic_similarity: the shared part of the paths to the true and to the predicted class.
        nll_clipped: in nats, at a probability of at least 1e-7.
        infinite_nll: how many images' class has no probability.
        smallest_share, largest_share: of the least and of the most often predicted class.
    """

    accuracy: Estimate
    against_monolith: Estimate
    superclass_accuracy: float
    within_superclass: float
    top5: float
    semantic_similarity: float
    nll_clipped: float
    infinite_nll: int
    brier: float
    ece: float
    auc: float
    confidence: float
    entropy: float
    smallest_share: float
    largest_share: float

    @property
    def collapsed(self) -> bool:
        """Whether one class takes more than 90% of the answers."""
        return self.largest_share > ALARM


def accuracy_of_networks(
    answers: Mapping[str, Tensor], labels: Tensor, tree: Tree, *, resamples: int, seed: int
) -> dict[str, Accuracy]:
    """By network.

    Args:
        answers: log-probabilities (n, N) by name, the monolith's among them.
        labels: int64 (n,).
        resamples, seed: of the bootstrap over images.
    """
    parent, alike = tree.superclass_of, similarity(tree)
    predictions = {name: logs.argmax(1) for name, logs in answers.items()}
    values, differences = accuracies(predictions, labels, MONOLITH, resamples=resamples, seed=seed)
    networks = {}
    for name, logs in answers.items():
        predicted, scores = predictions[name], per_image(logs, labels)
        right_branch = parent[predicted] == parent[labels]
        smallest, largest = shares(predicted, len(tree.classes))
        networks[name] = Accuracy(
            accuracy=values[name],
            against_monolith=differences[name],
            superclass_accuracy=_mean(right_branch),
            within_superclass=float((predicted == labels).sum() / right_branch.sum().clamp(min=1)),
            top5=_mean(scores["top5"]),
            semantic_similarity=float(alike[labels, predicted].mean()),
            nll_clipped=_mean(scores["nll_clipped"]),
            infinite_nll=int(scores["nll"].isinf().sum()),
            brier=_mean(scores["brier"]),
            ece=ece(scores["confidence"], scores["correct"]),
            auc=micro_auc(logs.exp(), labels),
            confidence=_mean(scores["confidence"]),
            entropy=_mean(scores["entropy"]),
            smallest_share=smallest,
            largest_share=largest,
        )
    return networks


def _mean(values: Tensor) -> float:
    return float(values.double().mean())


def shares(predicted: Tensor, classes: int) -> tuple[float, float]:
    """The shares of predictions (n,) that the least and the most often predicted class take."""
    counts = torch.bincount(predicted, minlength=classes).double() / max(1, len(predicted))
    return float(counts.min()), float(counts.max())


def similarity(tree: Tree) -> Tensor:
    """float64 (N, N): the shared part of two classes' paths, 1 for the class itself, 0 where they part at the root.

    S(i, j) = |path(i) & path(j)| / max(|path(i)|, |path(j)|); a path holds all nodes below the root down to the class
    itself (the "semantic distance" of L. Friedrichsen 2020, which is a similarity). Its mean over images, of the true
    and the predicted class, is accuracy + (superclass accuracy - accuracy) / 2 where the tree has two levels.
    """
    paths = tree.path_nodes >= 0
    length = paths.sum(1)
    prefixes = tree.prefixes
    shared = ((prefixes[:, None] == prefixes[None]) & paths[:, None] & paths[None]).sum(2)
    return shared.double() / length[:, None].maximum(length[None])
