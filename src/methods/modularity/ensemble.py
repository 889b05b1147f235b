"""Which modules work together: a tournament over ensembles of one module per class.

Qi et al. 2022. Candidate lists of the classes are joined two and two; of all joined ensembles the best survive to the
next level, until the ensembles hold all classes. Everything is tensors: for each ensemble we keep, per image, its
highest logit and, where it is right, the logit of the true class; whether a joined ensemble is right then takes one
comparison per image instead of an argmax over its modules.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

INFINITY = float("inf")


class Tournament(NamedTuple):
    """What a tournament leaves.

    Attributes:
        fitness: float64 (N, P) of each module: the highest of the surviving ensembles that hold it, 0 if none does.
        members: (E, N) the surviving full ensembles, best fitness first: index of the module of each class.
        accuracy: float64 (E,) share of images whose true class has the strictly highest logit.
        difference: float64 (E,) mean Jaccard difference of the ensemble's pairs of modules.
        ensemble_fitness: float64 (E,).
    """

    fitness: Tensor
    members: Tensor
    accuracy: Tensor
    difference: Tensor
    ensemble_fitness: Tensor


class Partial(NamedTuple):
    """Ensembles of some classes; ``truth`` is -inf where the image is another class's or the ensemble is wrong."""

    classes: tuple[int, ...]
    members: Tensor  # (E, classes) module of each class
    top: Tensor  # (E, n) highest logit
    truth: Tensor  # (E, n) logit of the true class
    pairs: Tensor  # (E,) sum of the Jaccard differences of all pairs
    accuracy: Tensor  # (E,)
    fitness: Tensor  # (E,)
    incumbent: int  # row of the ensemble of modules number 0


def composed_accuracy(scores: Tensor, labels: Tensor) -> float:
    """Accuracy of N modules together on images of their classes: argmax over ``scores`` (N, n) against ``labels``."""
    return (scores.argmax(dim=0) == labels).double().mean().item()


def jaccard_difference(first: Tensor, second: Tensor, weight: Tensor) -> Tensor:
    """1 - |A and B| / |A or B| of kept kernels, for all pairs by one matrix product.

    Args:
        first: bool (A, K). second: bool (B, K).
        weight: (K,) how many kernels a position stands for (coupled convolutions share one).

    Returns:
        float32 (A, B); 0 where both keep nothing.
    """
    weight = weight.float()
    common = (first * weight) @ second.float().T
    union = (first.float() @ weight)[:, None] + second.float() @ weight - common
    return torch.where(union > 0, 1 - common / union.clamp_min(1e-12), 0)


def threshold_of(size: int, thresholds: Mapping[int, float]) -> float:
    """The accuracy asked of ensembles of ``size`` classes: that of the largest listed size not above it, else of the
    smallest listed size; 0 if none is listed."""
    below = [listed for listed in thresholds if listed <= size]
    return thresholds[max(below) if below else min(thresholds)] if thresholds else 0.0


def tournament(
    logits: Tensor,
    labels: Tensor,
    keep: Tensor,
    weight: Tensor,
    *,
    class_order: Sequence[int],
    alpha: float,
    difference_weight: float,
    thresholds: Mapping[int, float],
    minimum: int,
    maximum: int,
    keep_incumbent: bool,
    chunk_bytes: int = 1 << 21,
) -> Tournament:
    """Join the modules of all classes into ensembles and rate each module by the best it is part of.

    A level joins neighbouring lists; an odd list passes up unchanged. Of the joined ensembles, ranked by accuracy
    (equal ones by difference), clamp(number with accuracy >= threshold, minimum, maximum) survive, then in the order of
    their fitness = alpha * accuracy + difference_weight * difference. Accuracy counts the images of the ensemble's
    classes; a tie of the two highest logits counts as wrong.

    Args:
        logits: float32 (N, P, n), the logit of class c by its module p on each image.
        labels: (n,) in 0..N-1.
        keep: bool (N, P, K) kernels of each module.
        weight: (K,) see ``jaccard_difference``.
        class_order: the classes in the order in which they are joined.
        thresholds: accuracy by ensemble size, see ``threshold_of``.
        keep_incumbent: the ensemble of all modules number 0 survives every level.
        chunk_bytes: bound on the largest intermediate, per chunk; small enough for the cache is fastest.
    """
    classes, population, _ = logits.shape
    weight = weight.to(logits.device)
    keep = keep.to(logits.device)
    zero = torch.zeros(population, dtype=torch.float64, device=logits.device)
    candidates = torch.arange(population, device=logits.device)[:, None]
    level = [
        Partial((c,), candidates, logits[c], logits[c].masked_fill(labels != c, -INFINITY), zero, zero, zero, 0)
        for c in class_order
    ]
    while len(level) > 1:
        joined = []
        for left, right in zip(level[::2], level[1::2], strict=False):
            size = len(left.classes) + len(right.classes)
            first, second = (keep[list(side.classes)].flatten(0, 1) for side in (left, right))
            across = jaccard_difference(first, second, weight)
            differences = _chosen(left, population) @ across @ _chosen(right, population).T  # (A, B)
            pairs = left.pairs[:, None] + right.pairs + differences
            right_answers = _wins(left, right, labels, chunk_bytes) + _wins(right, left, labels, chunk_bytes).T
            images = sum(int((labels == c).sum()) for c in left.classes + right.classes)
            accuracy = right_answers.double() / max(images, 1)
            difference = pairs / (size * (size - 1) / 2)
            fitness = alpha * accuracy + difference_weight * difference
            incumbent = left.incumbent * len(right.members) + right.incumbent
            rows = _survivors(
                accuracy.flatten(),
                difference.flatten(),
                fitness.flatten(),
                threshold=threshold_of(size, thresholds),
                minimum=minimum,
                maximum=maximum,
                always=incumbent if keep_incumbent else None,
            )
            joined.append(_join(left, right, rows, pairs.flatten(), accuracy.flatten(), fitness.flatten(), incumbent))
        level = joined + level[len(level) - len(level) % 2 :]
    return _verdict(level[0], classes, population)


def _chosen(side: Partial, population: int) -> Tensor:
    """One-hot rows of an ensemble's modules: float32 (E, classes * P)."""
    columns = side.members + population * torch.arange(len(side.classes), device=side.members.device)
    chosen = torch.zeros(len(columns), len(side.classes) * population, device=columns.device)
    return chosen.scatter_(1, columns, 1.0)


def _wins(side: Partial, other: Partial, labels: Tensor, chunk_bytes: int) -> Tensor:
    """On how many images of its own classes each ensemble stays right when joined with each of the other's: (E, F)."""
    images = torch.isin(labels, torch.tensor(side.classes, device=labels.device)).nonzero().squeeze(1)
    truth, top = side.truth[:, images], other.top[:, images]
    rows = max(1, chunk_bytes // max(1, top.numel()))
    return torch.cat([(part[:, None] > top).sum(dim=2, dtype=torch.int32) for part in truth.split(rows)])


def _survivors(
    accuracy: Tensor,
    difference: Tensor,
    fitness: Tensor,
    *,
    threshold: float,
    minimum: int,
    maximum: int,
    always: int | None,
) -> Tensor:
    """Rows that pass to the next level, best fitness first."""
    count = min(max(int((accuracy >= threshold).sum()), minimum), maximum)
    rows = difference.argsort(descending=True, stable=True)
    rows = rows[accuracy[rows].argsort(descending=True, stable=True)][:count]
    if always is not None and not (rows == always).any():
        rows = torch.cat([rows, rows.new_tensor([always])])
    return rows[fitness[rows].argsort(descending=True, stable=True)]


def _join(
    left: Partial, right: Partial, rows: Tensor, pairs: Tensor, accuracy: Tensor, fitness: Tensor, incumbent: int
) -> Partial:
    """The surviving ensembles with what the next level needs of them."""
    a, b = rows // len(right.members), rows % len(right.members)
    true_left, true_right, top_left, top_right = left.truth[a], right.truth[b], left.top[a], right.top[b]
    # each image belongs to one side or none, and the other side's `truth` is -inf there
    truth = torch.maximum(
        true_left.masked_fill(true_left <= top_right, -INFINITY),
        true_right.masked_fill(true_right <= top_left, -INFINITY),
    )
    place = (rows == incumbent).nonzero()
    return Partial(
        left.classes + right.classes,
        torch.cat([left.members[a], right.members[b]], dim=1),
        torch.maximum(top_left, top_right),
        truth,
        pairs[rows],
        accuracy[rows],
        fitness[rows],
        int(place) if len(place) else 0,  # a lost incumbent is only ever asked for again where none may be lost
    )


def _verdict(full: Partial, classes: int, population: int) -> Tournament:
    members = torch.empty_like(full.members)
    members[:, list(full.classes)] = full.members
    fitness = torch.zeros(classes, population, dtype=torch.float64, device=members.device)
    fitness.scatter_reduce_(1, members.T, full.fitness.expand(classes, -1), reduce="amax")
    difference = full.pairs / max(classes * (classes - 1) / 2, 1)
    return Tournament(fitness, members, full.accuracy, difference, full.fitness)


def rank_unranked(fitness: Tensor, quality: Tensor) -> Tensor:
    """Give modules outside every surviving ensemble a fitness by their own quality, below that of every ranked one.

    The paper leaves them all at 0, so that among them the index decides and not the quality.

    Args:
        fitness: float64 (N, P), 0 where unranked. quality: (N, P) in [0, 1], e.g. one-vs-rest AUC.
    """
    ranked = fitness > 0
    lowest = fitness.masked_fill(~ranked, INFINITY).amin(dim=1, keepdim=True)  # (N, 1) per class: compared only there
    lowest = torch.where(lowest.isinf(), 1.0, lowest)
    return torch.where(ranked, fitness, 0.99 * lowest * quality.double())
