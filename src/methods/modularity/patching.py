"""Modules as patches: a module's answer takes the place of the weak model's for the target class (Qi et al. 2022)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from src.core.errors import UserError
from src.statistics.calibration import Platt, fit_platt

Calibration = Literal["platt", "min_max", "percentile", "outlier"]
Score = Literal["margin", "logit"]


def module_score(logits: Tensor, column: int, score: Score) -> Tensor:
    """How sure a module is of its class: (n,) from all its outputs (n, N).

    ``logit`` is the raw output of its class (the paper's). ``margin`` (ours) is that output minus the logsumexp of the
    module's other outputs, its log odds: an image of a class it has never seen may raise all outputs alike.
    """
    of_class = logits[:, column]
    if score == "logit":
        return of_class
    others = torch.cat([logits[:, :column], logits[:, column + 1 :]], dim=1)
    return of_class - others.logsumexp(1)


@dataclass(frozen=True)
class Range:
    """(score - low) / (high - low), not clipped, as in the paper."""

    low: float
    high: float

    def __call__(self, scores: Tensor) -> Tensor:
        """float64 of the scores' shape; where low = high, the distance from it."""
        return (scores.double() - self.low) / ((self.high - self.low) or 1.0)


def fit_calibration(
    method: Calibration, logits: Tensor, is_target: Tensor, *, weight: Tensor | None = None
) -> Platt | Range:
    """What makes a module's logits comparable with a softmax probability.

    ``platt`` (ours) fits a probability on target and other images. The paper's three look at the module's own class
    alone: ``min_max`` of its logits, their ``percentile`` 10 and 90, and ``outlier``, the quartiles moved out by 1.5
    times their distance.

    Args:
        logits: (n,) the module's logit of its class on validation images.
        is_target: bool (n,), the images of that class.
        weight: (n,) of the images, of ``platt``, see ``fit_platt``.

    Raises:
        UserError: no image of the target class (``platt``: or of the others).
    """
    of_class = logits[is_target].double()
    if not len(of_class) or (method == "platt" and len(of_class) == len(logits)):
        raise UserError(
            f"calibration={method}: {len(of_class)} of the {len(logits)} validation images are of the target class; "
            f"take images of {'other classes too' if len(of_class) else 'that class'}"
        )
    match method:
        case "platt":
            return fit_platt(logits, is_target, weight=weight)
        case "min_max":
            return Range(of_class.min().item(), of_class.max().item())
        case "percentile":
            return Range(of_class.quantile(0.1).item(), of_class.quantile(0.9).item())
        case "outlier":
            low, high = of_class.quantile(0.25).item(), of_class.quantile(0.75).item()
            return Range(low - 1.5 * (high - low), high + 1.5 * (high - low))


def compose(weak_probabilities: Tensor, module_scores: Mapping[int, Tensor]) -> Tensor:
    """The weak model's probabilities with the targets' columns replaced; the rest is not renormalised.

    Args:
        weak_probabilities: (n, N).
        module_scores: calibrated scores (n,) by class; several classes can be patched at once.

    Returns:
        float64 (n, N); its argmax is the patched model's prediction.
    """
    patched = weak_probabilities.double().clone()
    for target, scores in module_scores.items():
        patched[:, target] = scores.to(patched)
    return patched


def tuned_bias(logits: Tensor, labels: Tensor, target: int, *, weight: Tensor | None = None) -> float:
    """The number that, added to the target's logit, gives the best F1 of the target on these images.

    Exact: between two neighbouring values at which an image changes sides F1 is constant, so all such intervals are
    compared at once, but for those narrower than a millionth. Of equal F1 the smallest absolute bias wins: 0 where it
    is as good as any, else the middle of an interval (1 beyond the outermost value). This is the control a patch must
    beat: it costs nothing.

    Args:
        logits: (n, N). labels: (n,).
        weight: (n,) how much each image counts in F1; None counts all alike.
    """
    logits = logits.double()
    others = logits.clone()
    others[:, target] = -torch.inf
    top = others.amax(dim=1)
    needed, order = (top - logits[:, target]).sort(stable=True)  # (n,) the bias above which the target is predicted
    is_target = (labels == target)[order]
    edges = torch.cat([needed[:1] - 2, needed, needed[-1:] + 2])
    low, high = edges[:-1], edges[1:]  # interval k: the first k images are taken for the target
    bias = torch.where((low < 0) & (high > 0), 0.0, (low + high) / 2)
    zero = torch.zeros(1, dtype=torch.float64, device=logits.device)
    counts = torch.ones_like(top) if weight is None else weight.to(top)
    hits = torch.cat([zero, (is_target * counts[order]).cumsum(0)])
    predicted = torch.cat([zero, counts[order].cumsum(0)])
    f1 = 2 * hits / (predicted + counts[labels == target].sum()).clamp_min(1e-12)
    # Between values that differ by rounding alone there is no room for a bias.
    f1 = f1.masked_fill(high - low <= 1e-6 * (1 + bias.abs()), -1.0)
    best = f1 >= f1.max() - 1e-12
    return bias[best][bias[best].abs().argmin()].item()


def random_kernels(keep: Tensor, group_index: Tensor, generator: torch.Generator) -> Tensor:
    """As many kernels of each layer as ``keep`` bool (K,) has, drawn at random: bool (K,).

    ``group_index`` int64 (K,): the layer of each kernel (``plan.group_index``).
    """
    groups = int(group_index.max()) + 1
    counts = torch.zeros(groups, dtype=torch.int64).scatter_add_(0, group_index, keep.long())
    chance = torch.rand(len(keep), generator=generator)
    order = (group_index + chance).argsort()  # by layer, and within it by chance
    start = torch.bincount(group_index, minlength=groups).cumsum(0) - torch.bincount(group_index, minlength=groups)
    rank = torch.empty_like(order)
    rank[order] = torch.arange(len(keep))
    return rank - start[group_index] < counts[group_index]
