"""Does a network decide by the shape or by the texture of images in which the two disagree?

Geirhos et al. (ICLR 2019, arXiv:1811.12231): the share of shape decisions among those that name one of the two cues.
A ratio alone is unstable where few decisions count, so the number of decisions, 'no cue used', and each cue's own
sensitivity stand beside it (after 'On the reliability of cue conflict and beyond', 2026, arXiv:2603.10834).
"""

import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from src.core.estimate import Estimate
from src.core.shown import Shown
from src.statistics.bootstrap import Resampled, estimate


@dataclass(frozen=True)
class Trials(Shown):
    """Images whose shape is of one category and whose texture is of another, and what was answered.

    Attributes:
        answer: int64 (n,), category; -1: none of them.
        shape: int64 (n,), category of the shape. texture: of the texture; it differs from the shape's.
        shape_source: int64 (n,), which picture the shape is from; many trials share it. texture_source: the texture's.
        categories: their names.
    """

    answer: Tensor
    shape: Tensor
    texture: Tensor
    shape_source: Tensor
    texture_source: Tensor
    categories: tuple[str, ...]


@dataclass(frozen=True)
class ShapeBias:
    """How often each cue was decided for.

    Attributes:
        ratio: shape decisions as a share of shape and texture decisions.
        shape, texture: shares of all trials.
        shape_hits, texture_hits, trials: their numbers.
        by_category: the ratio of the trials whose shape is of each category; NaN where neither cue was ever named.
    """

    ratio: Estimate
    shape: Estimate
    texture: Estimate
    shape_hits: int
    texture_hits: int
    trials: int
    by_category: tuple[float, ...]
    categories: tuple[str, ...]

    @property
    def no_cue_used(self) -> bool:
        """Whether shape and texture together are named no more often than by guessing: in 2 of K categories."""
        return self.shape_hits + self.texture_hits <= 2 / len(self.categories) * self.trials


def shape_bias(trials: Trials, weights: Tensor) -> ShapeBias:
    """The ratio with an interval over pictures.

    Args:
        weights: float64 (B, n), how often each trial occurs in each resample (`crossed_weights`): 1,200 public images
            are made of 160 shapes and 48 textures; they are not 1,200 independent ones.
    """
    by_shape, by_texture = trials.answer == trials.shape, trials.answer == trials.texture
    hits = torch.stack([by_shape, by_texture, torch.ones_like(by_shape)]).double()
    shape, texture, count = (weights @ hits.T).unbind(1)
    n_shape, n_texture, n = (int(value) for value in hits.sum(1))
    pictures = len(trials.shape_source.unique())
    per_category = []
    for category in range(len(trials.categories)):
        shown = trials.shape == category
        named = int(by_shape[shown].sum()), int(by_texture[shown].sum())
        per_category.append(named[0] / sum(named) if sum(named) else math.nan)
    return ShapeBias(
        ratio=_estimate(n_shape / max(n_shape + n_texture, 1), shape / (shape + texture), pictures),
        shape=_estimate(n_shape / max(n, 1), shape / count, pictures),
        texture=_estimate(n_texture / max(n, 1), texture / count, pictures),
        shape_hits=n_shape,
        texture_hits=n_texture,
        trials=n,
        by_category=tuple(per_category),
        categories=trials.categories,
    )


def crossed_weights(shapes: Tensor, textures: Tensor, *, resamples: int, seed: int) -> Tensor:
    """How often each trial occurs in each resample of both kinds of sources: float64 (B, n), one for both alike.

    Owen (2007): rows and columns of a crossed design are resampled independently; a trial's weight is the product of
    its row's and its column's.
    """
    generator = torch.Generator().manual_seed(seed)

    def drawn(sources: Tensor) -> Tensor:
        kinds, place = sources.unique(return_inverse=True)
        chosen = torch.randint(len(kinds), (resamples, len(kinds)), generator=generator)
        counts = torch.zeros(resamples, len(kinds), dtype=torch.float64)
        counts.scatter_add_(1, chosen, torch.ones((), dtype=torch.float64).expand_as(chosen))
        return counts[:, place]

    return drawn(shapes.cpu()) * drawn(textures.cpu())


def _estimate(value: float, samples: Tensor, pictures: int) -> Estimate:
    # a resample in which neither cue was named has no ratio, and is left out
    return estimate(Resampled(value, samples), n=pictures, unit="shape pictures")


class Sensitivity(NamedTuple):
    """Mean reciprocal rank of each cue's label over all labels of the head, less what guessing gives (chance)."""

    shape: Estimate
    texture: Estimate
    shape_chance: float
    texture_chance: float


def sensitivity(scores: Tensor, shape: Tensor, texture: Tensor, weights: Tensor) -> Sensitivity:
    """Absolute sensitivity to each cue, by where its label stands among all.

    Args:
        scores: (n, K), one per label of the head.
        shape: bool (n, K), the labels of the shape's category; the best placed of them counts. texture: the texture's.
        weights: float64 (B, n), how often each trial occurs in each resample (`crossed_weights`).
    """
    labels = scores.shape[1]
    order = scores.argsort(dim=1, descending=True, stable=True)
    rank = torch.empty_like(order).scatter_(1, order, torch.arange(1, labels + 1, device=order.device).expand_as(order))

    def excess(members: Tensor) -> tuple[Estimate, float]:
        best = rank.masked_fill(~members.to(rank.device), labels).amin(1)
        chances = [chance_reciprocal_rank(labels, count) for count in range(1, int(members.sum(1).max()) + 1)]
        chance = torch.tensor(chances, dtype=torch.float64)[members.sum(1).cpu() - 1].mean().item()
        reciprocal = best.double().reciprocal().cpu() - chance
        samples = weights @ reciprocal / weights.sum(1)
        return estimate(Resampled(reciprocal.mean().item(), samples), n=len(scores), unit="images"), chance

    (shape_excess, shape_chance), (texture_excess, texture_chance) = excess(shape), excess(texture)
    return Sensitivity(shape_excess, texture_excess, shape_chance, texture_chance)


def chance_reciprocal_rank(labels: int, members: int = 1) -> float:
    """Expected 1 / rank of the best placed of ``members`` labels in a random order of all; for one it is H_K / K."""
    every = math.comb(labels, members)
    return sum(math.comb(labels - rank, members - 1) / every / rank for rank in range(1, labels - members + 2))
