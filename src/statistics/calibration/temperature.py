"""Temperature scaling: logits as probabilities."""

import torch
from torch import Tensor

NONE = 1e5  # below all other logits: at the highest temperature still e^-1000, which is 0


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
