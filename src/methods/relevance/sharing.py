"""A rule of LRP that hands the share of the biases to the inputs, by their size.

Biases that are left out of the denominators make these cross zero where the network's own values do not: in networks
with batch norm the epsilon rule's maps then grow by orders of magnitude per layer. Biases that keep their share absorb
relevance. The LRP toolbox (Lapuschkin et al., JMLR 17(114), 2016) gives their share, and that of the stabiliser, to
the inputs in equal parts. Here an input gets its part by its absolute value, so that one that is 0, as behind a ReLU
that is off, gets none, and relevance stays bounded. Only where all inputs are 0 are the parts equal.

Imports zennit, so it is imported where it is used.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from zennit.core import BasicHook, Hook, ParamMod

LEAST = 1e-9  # size of an input that is 0: nothing beside the others, equal parts where there are none


class Sharing(Hook):
    """A rule whose outputs give away all of their relevance.

    Args:
        rule: any of zennit's for layers with weights.
        signs: the factor with which each pass of the rule counts in its sum: alpha, or minus beta.
    """

    def __init__(self, rule: BasicHook, signs: Sequence[float]) -> None:
        super().__init__()
        self.rule, self.signs = rule, tuple(signs)

    def copy(self) -> Sharing:
        return Sharing(self.rule, self.signs)

    def forward(self, module: nn.Module, input: tuple[Tensor, ...], output: Tensor) -> None:
        self.stored_tensors["input"] = input

    def backward(self, module: nn.Module, grad_input: Any, grad_output: tuple[Tensor, ...]) -> tuple[Tensor]:
        """The rule's relevance, and what it leaves at each output handed to the inputs."""
        given, relevance = self.stored_tensors["input"][0].detach(), grad_output[0]
        inputs, outputs, biases = [], [], []
        for change, weights in zip(self.rule.input_modifiers, self.rule.param_modifiers, strict=True):
            values, output, bias = _pass(module, change(given), weights)
            inputs.append(values)
            outputs.append(output)
            biases.append(bias)
        mapped = self.rule.gradient_mapper(relevance, outputs)
        parts = [mapped] if isinstance(mapped, Tensor) else list(mapped)
        shared = [sign * part * (output - bias)
                  for sign, part, output, bias in zip(self.signs, parts, outputs, biases, strict=True)]  # fmt: skip
        sizes, total, _ = _pass(module, given.abs() + LEAST, ParamMod(_ones, zero_params=["bias"]))
        rest = (relevance - sum(shared)) / total
        gradients = torch.autograd.grad(
            [*outputs, total], [*inputs, sizes], [*(p.detach() for p in parts), rest.detach()]
        )
        result = self.rule.reducer(inputs, gradients[:-1]) + sizes * gradients[-1]
        return (result.detach(),)


def _pass(module: nn.Module, values: Tensor, weights: Any) -> tuple[Tensor, Tensor, Tensor | float]:
    """Input, output and bias (to be broadcast over the output) of the layer with other weights."""
    values = values.detach().requires_grad_()
    with ParamMod.ensure(weights)(module) as changed, torch.enable_grad():
        output = changed.forward(values)
        bias = changed.bias
        if bias is None:
            return values, output, 0.0
        return values, output, bias.detach().view(-1, *[1] * (output.ndim - 2))


def _ones(weight: Tensor, name: str) -> Tensor:
    return torch.ones_like(weight)
