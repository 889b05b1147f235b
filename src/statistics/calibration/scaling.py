"""Scores as probabilities: Platt scaling of one score, temperature scaling of logits."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

NONE = 1e5  # below all other logits: at the highest temperature still e^-1000, which is 0


@dataclass(frozen=True)
class Platt:
    """probability = sigmoid(slope * score + intercept)."""

    slope: float
    intercept: float

    def __call__(self, scores: Tensor) -> Tensor:
        """float64 probabilities of the scores' shape."""
        return torch.sigmoid(self.slope * scores.double() + self.intercept)


def fit_platt(scores: Tensor, positive: Tensor, *, weight: Tensor | None = None, iterations: int = 100) -> Platt:
    """Platt scaling: logistic regression of ``positive`` on one score (Platt 1999; Lin, Lin & Weng 2007).

    The targets are Platt's (k + 1) / (k + 2) and 1 / (m + 2) for k positives and m negatives, which keep the optimum
    finite where the classes are separable. Newton's method in float64 with step halving: deterministic, no settings.

    Args:
        scores: (n,). positive: bool (n,).
        weight: (n,) how much each image counts, e.g. :func:`class_weights`; the probability is for the proportions
            of the weights. None counts all alike.

    Returns:
        The fit; slope 0 where the scores are constant.

    Raises:
        ValueError: not both classes are there, or a score is not finite.
    """
    if not torch.isfinite(scores).all():
        raise ValueError("scores: NaN or infinite values cannot be calibrated")
    count = len(scores)
    positives = int(positive.sum())
    if not 0 < positives < count:
        raise ValueError(f"positive: {positives} of {count} are; calibration needs both kinds")
    x = scores.detach().double().cpu()
    is_positive = positive.cpu()
    target = torch.where(is_positive, (positives + 1) / (positives + 2), 1 / (count - positives + 2)).double()
    weight = torch.ones_like(x) if weight is None else weight.double().cpu() * (count / weight.sum().item())
    mean, deviation = x.mean().item(), x.std(correction=0).item()
    if deviation <= 1e-12 * max(1.0, abs(mean)):
        share = ((weight * target).sum() / weight.sum()).item()
        return Platt(0.0, math.log(share / (1 - share)))
    design = torch.stack([(x - mean) / deviation, torch.ones_like(x)], dim=1)  # (n, 2), standardised: well conditioned
    weights = _newton(design, target, weight, iterations)
    slope = weights[0].item() / deviation
    return Platt(slope, weights[1].item() - slope * mean)


def _newton(design: Tensor, target: Tensor, weight: Tensor, iterations: int) -> Tensor:
    """Minimise the weighted cross entropy, convex in the two parameters."""

    def loss(parameters: Tensor) -> Tensor:
        z = design @ parameters
        return (weight * (torch.nn.functional.softplus(z) - target * z)).sum()

    parameters = torch.zeros(2, dtype=torch.float64)
    current = loss(parameters)
    for _ in range(iterations):
        p = torch.sigmoid(design @ parameters)
        gradient = design.T @ (weight * (p - target))
        curvature = weight * p * (1 - p)
        hessian = design.T @ (curvature[:, None] * design) + 1e-10 * torch.eye(2, dtype=torch.float64)
        step = torch.linalg.solve(hessian, gradient)
        length = 1.0
        while length > 1e-8 and loss(parameters - length * step) > current:
            length /= 2
        parameters = parameters - length * step
        previous, current = current, loss(parameters)
        if previous - current <= 1e-13 * previous.abs():
            break
    return parameters


def class_weights(labels: Tensor, classes: int) -> Tensor:
    """float64 (n,): weights under which every class counts alike, however many images it has; they sum to n."""
    counts = torch.bincount(labels, minlength=classes).double()
    return (1 / counts)[labels] * (len(labels) / int((counts > 0).sum()))


def fit_temperature(logits: Tensor, labels: Tensor, *, weight: Tensor | None = None, iterations: int = 100) -> float:
    """The number that divides logits (n, N) so that their softmax fits the labels best (Guo et al. 2017, 1706.04599).

    The loss is convex in the inverse temperature: Newton's method with step halving, in float64. Between 0.01 and 100;
    logits that are right on every image would else ask for 0. A class with -inf has no probability at any temperature;
    images of such a class are left out, and where no other is left the temperature is 1.
    """
    x = logits.detach().double().cpu()
    true = x.gather(1, labels.cpu()[:, None])[:, 0]
    weight = torch.ones_like(true) if weight is None else weight.double().cpu()
    possible = true.isfinite()
    if not possible.any():
        return 1.0
    x, true, weight = x[possible], true[possible], weight[possible]
    x = x.masked_fill(x == -torch.inf, x.masked_fill(x == -torch.inf, torch.inf).min().item() - NONE)
    weight = weight / weight.sum()

    def loss(inverse: float) -> float:
        return float((weight * ((inverse * x).logsumexp(1) - inverse * true)).sum())

    inverse, current = 1.0, loss(1.0)
    for _ in range(iterations):
        p = (inverse * x).softmax(1)
        mean = (p * x).sum(1)
        gradient = float((weight * (mean - true)).sum())
        curvature = float((weight * ((p * x * x).sum(1) - mean**2)).sum())
        step = gradient / max(curvature, 1e-12)
        length = 1.0
        while length > 1e-8 and loss(min(max(inverse - length * step, 0.01), 100.0)) > current:
            length /= 2
        inverse = min(max(inverse - length * step, 0.01), 100.0)
        previous, current = current, loss(inverse)
        if previous - current <= 1e-13 * abs(previous):
            break
    return 1 / inverse
