"""What single images say about the probabilities that a network gives (Ovadia et al. 2019, 1906.02530)."""

import math

import torch
from torch import Tensor

CLIP = 1e-7  # least probability that the clipped NLL sees, as in Keras: 16.118 nats at most
TOP = 5


def per_image(log_probabilities: Tensor, labels: Tensor) -> dict[str, Tensor]:
    """Scores of n images, on their device.

    Args:
        log_probabilities: (n, N), -inf where a class has no probability. labels: int64 (n,).

    Returns:
        ``correct`` bool (n,): the likeliest class, the first one of several, is the right one.
        ``top5`` bool (n,): the right class has a probability, and fewer than 5 classes come before it.
        The others float64 (n,): ``confidence``, the highest probability; ``nll`` -ln p(true) in nats, may be infinite;
        ``nll_clipped`` with p at least 1e-7; ``brier`` sum_y (p(y) - [y true])^2, from 0 to 2; ``entropy`` in nats.
    """
    logs = log_probabilities.double()
    p = logs.exp()
    true = logs.gather(1, labels[:, None])  # (n, 1)
    earlier = torch.arange(logs.shape[1], device=logs.device) < labels[:, None]
    before = ((logs > true) | ((logs == true) & earlier)).sum(1)
    nll = -true[:, 0]
    return {
        "correct": before == 0,
        "top5": (before < TOP) & nll.isfinite(),
        "confidence": p.amax(1),
        "nll": nll,
        "nll_clipped": nll.clamp(max=-math.log(CLIP)),
        "brier": p.square().sum(1) - 2 * true[:, 0].exp() + 1,
        "entropy": torch.special.entr(p).sum(1),
    }
