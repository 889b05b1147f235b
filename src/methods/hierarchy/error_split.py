"""Where a network of modules loses accuracy against another: in its routers or in its experts.

Accuracy is exactly the product, over the levels of the tree, of the share of images that are right at a level among
those that were right so far. The logarithm of the ratio of two networks' accuracies is then a sum over levels, and each
level has a share of it. In the thesis on modular networks (L. Friedrichsen 2020; 35.69% of the images right, 60.82% in
the right superclass, against 53.19% and 65.12%) the router has 17% and the experts have 83%.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from src.core.estimate import Estimate
from src.methods.hierarchy.nodes import Tree
from src.methods.hierarchy.walking import greedy
from src.statistics.bootstrap import Resampled, bootstrap_weights, estimate

Reading = Literal["argmax", "summed"]


@dataclass(frozen=True)
class GapSplit:
    """What becomes of the gap ln(accuracy of the benchmark / accuracy).

    Attributes:
        gap: in nats.
        router, experts: the shares of it of all levels but the last, and of the last; they sum to 1.
        network, benchmark: each level's factor of the accuracy.
    """

    gap: Estimate
    router: Estimate
    experts: Estimate
    network: tuple[Estimate, ...]
    benchmark: tuple[Estimate, ...]


def level_hits(tree: Tree, log_probabilities: Tensor, labels: Tensor, reading: Reading = "argmax") -> Tensor:
    """Bool (n, depth): whether each image is right down to each level; the last column is that of its class.

    Args:
        log_probabilities: (n, N). labels: int64 (n,).
        reading: how a distribution over classes is read at an inner level. ``argmax``: the nodes above the likeliest
            class. ``summed``: from the root on the child whose classes have the largest sum of probabilities. These
            need not be above the likeliest class: the last level's factor is then a quotient, and can exceed 1.
    """
    predicted = log_probabilities.argmax(1)
    if reading == "argmax":
        prefixes = tree.prefixes.to(labels.device)
        return prefixes[predicted] == prefixes[labels]
    taken = greedy(tree, summed_answers(tree, log_probabilities)).children
    right = tree.path_children.to(labels.device)[labels]
    hits = ((taken == right) | (right < 0)).cumprod(1).bool()
    return torch.cat([hits[:, :-1], (predicted == labels)[:, None]], dim=1)


def summed_answers(tree: Tree, log_probabilities: Tensor) -> list[Tensor]:
    """Any network read as modules: per node the logarithm (n, children) of its probability of each child's classes."""
    answers = []
    for node in tree.nodes:
        targets = torch.tensor(node.targets, device=log_probabilities.device)
        sums = [log_probabilities[:, targets == child].double().logsumexp(1) for child in range(len(node.children))]
        answers.append(torch.stack(sums, dim=1))
    return answers


def factors(hits: Tensor) -> Tensor:
    """float64 (depth,): accuracy is their product. ``hits`` as from :func:`level_hits`."""
    return _factors(hits.double().mean(0))


def shares_of_gap(network: Tensor, benchmark: Tensor) -> Tensor:
    """The levels' shares (..., depth) of the logarithm of the ratio of two accuracies, from their factors (..., depth).

    NaN where the accuracies are equal.
    """
    logs = (benchmark / network).log()
    gap = logs.sum(-1, keepdim=True)
    return torch.where(gap.abs() < 1e-9, torch.nan, logs / gap)


def split_gap(network: Tensor, benchmark: Tensor, *, resamples: int, seed: int) -> GapSplit:
    """The split with intervals from a bootstrap over images, which both networks share.

    Args:
        network, benchmark: bool (n, depth) from :func:`level_hits` of the same images.
    """
    count = len(network)
    weights = bootstrap_weights(count, resamples=resamples, seed=seed)
    pair = []
    for hits in (network.cpu(), benchmark.cpu()):
        drawn = (weights @ hits.float()).double() / count  # (B, depth)
        pair.append(torch.cat([factors(hits)[None], _factors(drawn)]))  # (1 + B, depth), the images at hand first
    shares = shares_of_gap(pair[0], pair[1])
    gap = (pair[1] / pair[0]).log().sum(1)
    return GapSplit(
        _estimate(gap, count),
        _estimate(shares[:, :-1].sum(1), count),
        _estimate(shares[:, -1], count),
        _estimates(pair[0], count),
        _estimates(pair[1], count),
    )


def _factors(cumulative: Tensor) -> Tensor:
    """Quotients of neighbours of (..., depth); the first stays."""
    return torch.cat([cumulative[..., :1], cumulative[..., 1:] / cumulative[..., :-1]], dim=-1)


def _estimate(values: Tensor, count: int) -> Estimate:
    return estimate(Resampled(float(values[0]), values[1:]), n=count, unit="images")


def _estimates(columns: Tensor, count: int) -> tuple[Estimate, ...]:
    return tuple(_estimate(column, count) for column in columns.T)
