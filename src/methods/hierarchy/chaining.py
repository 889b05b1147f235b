"""Chaining: a last module that reads what the other modules say, and nothing else."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from src.core.shown import Shown
from src.methods.hierarchy.nodes import Tree
from src.methods.hierarchy.walking import averaged

FLOOR = math.log(1e-7)  # lower log-probabilities are read as this one: no single module can be surer


@dataclass(frozen=True, eq=False)
class Chain(Shown):
    """A fitted last module.

    Attributes:
        mean, scale: float64 (E,) of the E log-probabilities that all modules give.
        weights: float64 (E, N). bias: float64 (N,).
    """

    mean: Tensor
    scale: Tensor
    weights: Tensor
    bias: Tensor

    def __call__(self, answers: Sequence[Tensor]) -> Tensor:
        """Per node the logits (n, children) -> float64 (n, N) log-probabilities, on the answers' device."""
        read = ((_read(answers) - self.mean.to(answers[0].device)) / self.scale.to(answers[0].device)).double()
        return (read @ self.weights.to(read.device) + self.bias.to(read.device)).log_softmax(1)


def fit_chain(
    tree: Tree, answers: Sequence[Tensor], labels: Tensor, *, l2: float = 1.0, iterations: int = 500
) -> Chain:
    """Multinomial logistic regression on the log-probabilities of all modules, of images that taught none of them.

    p_k(. | p_1(x), ..., p_{k-1}(x)) of the thesis (L. Friedrichsen 2020, ch. 2), which names it and does not build it.
    The convex loss, the summed cross entropy + l2 / 2 * ||weights||^2 on standardised inputs, is minimised by L-BFGS.

    Args:
        answers: per node the logits (n, children), or (n, T, children) of crops, which are averaged.
        labels: int64 (n,).
        l2: of the weights, not of the bias.
    """
    read = _read(answers).cpu()
    target = labels.cpu()
    mean, scale = read.mean(0), read.std(0, correction=0).clamp(min=1e-6)
    x = (read - mean) / scale
    weights = torch.zeros(x.shape[1], len(tree.classes), dtype=torch.float64, requires_grad=True)
    bias = torch.zeros(len(tree.classes), dtype=torch.float64, requires_grad=True)
    search = torch.optim.LBFGS(
        [weights, bias], max_iter=iterations, history_size=20, tolerance_grad=1e-8, tolerance_change=1e-12,
        line_search_fn="strong_wolfe",
    )  # fmt: skip

    def loss() -> float:
        search.zero_grad()
        with torch.enable_grad():
            fit = torch.nn.functional.cross_entropy(x @ weights + bias, target, reduction="sum")
            value = (fit + l2 / 2 * weights.square().sum()) / len(x)
            value.backward()
        return float(value.detach())

    search.step(loss)
    return Chain(mean, scale, weights.detach(), bias.detach())


def _read(answers: Sequence[Tensor]) -> Tensor:
    """float64 (n, E)."""
    return torch.cat([answer.double().log_softmax(1) for answer in averaged(answers)], dim=1).clamp(min=FLOOR).detach()
