"""A traced copy of a network becomes one of which each operation that shares out relevance is a module of its own.

Batch norm in evaluation mode is affine. Directly behind a convolution or a dense layer it is folded into its weights;
elsewhere (behind an activation or a sum) it becomes an affine layer. A sum becomes a module on the stacked summands, a
gate a module that hands all relevance to its signal.
"""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, fx, nn

from src.core.errors import UserError
from src.methods.relevance.graph import ELSEWHERE, Path, Role, function_name, path_of

TOLERANCE = 1e-3  # of the logits' largest: far above rounding, far below what a wrong copy would show


@dataclass(frozen=True)
class Rewritten:
    """A network that relevance can run through.

    Attributes:
        module: images (n, C, H, W) to the logits (n, N) of the original, for images of one shape.
        roles: module -> its role, of those that need a rule; ``norm`` is an affine layer.
        first: modules with weights that see the image before any others do.
        on_image: whether nothing lies between them and the image.
    """

    module: fx.GraphModule
    roles: dict[str, Role]
    first: frozenset[str]
    on_image: bool


def rewritten(model: nn.Module, input_shape: Sequence[int], name: str = "") -> Rewritten:
    """The network for relevance; ``model`` is left as it is.

    Args:
        model: images (n, C, H, W) to logits (n, N).
        input_shape: channels, height, width.
        name: of the network, for messages.

    Raises:
        UserError: LRP is not exact for the network (see :func:`src.methods.relevance.graph.path_of`).
    """
    path = path_of(model, input_shape, name)
    result = _Rewriting(path).result()
    with torch.no_grad():
        error = (result.module(path.trial) - path.logits).abs().max()
    if not error <= TOLERANCE * path.logits.abs().max().clamp_min(1):
        raise UserError(
            f"{name or type(model).__name__}: its copy for LRP gives other logits, as where layers work in place on "
            f"what others read; {ELSEWHERE}"
        )
    return result


class Affine(nn.Module):
    """Maps (n, C, ...) times a weight plus a bias per channel: a batch norm that cannot be folded."""

    def __init__(self, weight: Tensor, bias: Tensor) -> None:
        super().__init__()
        self.weight, self.bias = nn.Parameter(weight, requires_grad=False), nn.Parameter(bias, requires_grad=False)

    def forward(self, x: Tensor) -> Tensor:
        shape = (-1, *[1] * (x.ndim - 2))
        return x * self.weight.view(shape) + self.bias.view(shape)


class Sum(nn.Module):
    """The sum of summands stacked along the last axis."""

    def forward(self, x: Tensor) -> Tensor:
        return x.sum(-1)


class Gate(nn.Module):
    """A signal times a factor; all relevance goes to the signal (signal takes all, Arras et al. 2017, W17-5221)."""

    def forward(self, signal: Tensor, factor: Tensor | float) -> Tensor:
        result: Tensor = _Gate.apply(signal, factor)
        return result


class _Gate(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, signal: Tensor, factor: Tensor | float) -> Tensor:
        return signal * factor

    @staticmethod
    def backward(ctx: Any, *relevance: Tensor) -> tuple[Tensor, None]:
        return relevance[0], None


class Operation(nn.Module):
    """A function of one tensor as a module."""

    def __init__(self, function: Callable[..., Tensor], more: Sequence[Any], options: Mapping[str, Any]) -> None:
        super().__init__()
        self.function, self.more, self.options = function, tuple(more), dict(options)

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x, *self.more, **self.options)


def affine_of(norm: nn.Module) -> tuple[Tensor, Tensor]:
    """Weight and bias (C,), float64, of a batch norm in evaluation mode."""
    assert isinstance(norm, nn.BatchNorm1d | nn.BatchNorm2d)
    assert norm.running_mean is not None and norm.running_var is not None
    mean = norm.running_mean.double()
    weight = (norm.running_var.double() + norm.eps).rsqrt()
    if norm.weight is not None:
        weight = weight * norm.weight.detach().double()
    bias = -mean * weight
    return weight, bias if norm.bias is None else bias + norm.bias.detach().double()


def fold(layer: nn.Module, norm: nn.Module) -> None:
    """Put a batch norm into the convolution or dense layer before it."""
    assert isinstance(layer, nn.Conv2d | nn.Linear)
    weight, bias = affine_of(norm)
    shape = (-1, *[1] * (layer.weight.ndim - 1))
    if layer.bias is not None:
        bias = bias + weight * layer.bias.detach().double()
    folded = (layer.weight.detach().double() * weight.view(shape)).to(layer.weight)
    layer.bias = nn.Parameter(bias.to(folded), requires_grad=False)
    layer.weight = nn.Parameter(folded, requires_grad=False)


class _Rewriting:
    """The steps from a path to a network for relevance, on the path's own traced copy."""

    def __init__(self, path: Path) -> None:
        self.path, self.module, self.graph = path, path.module, path.module.graph
        self.roles: dict[str, Role] = {}
        self.calls = Counter(str(node.target) for node in self.graph.nodes if node.op == "call_module")

    def result(self) -> Rewritten:
        roles = self.path.roles
        for node in [node for node, role in roles.items() if role == "skip"]:
            self.replace(node, self.signal(node))
        roles = {node: role for node, role in roles.items() if role != "skip"}
        first = self.first(roles)
        on_image = all(self.signal(node).op == "placeholder" for node in first)
        for node, role in roles.items():
            if role in ("linear", "activation", "average"):
                self.named(node, role)
            elif role == "norm":
                self.norm(node, roles)
            elif role == "sum":
                with self.graph.inserting_before(node):
                    stacked = self.graph.call_function(torch.stack, (list(node.args[:2]), -1))
                self.insert(node, role, Sum(), (stacked,))
            elif role == "gate":
                (place,) = self.path.signals[node]
                self.insert(node, role, Gate(), (node.args[place], node.args[1 - place]))
        self.graph.lint()
        self.module.recompile()
        self.module.delete_all_unused_submodules()
        return Rewritten(self.module, self.roles, frozenset(str(node.target) for node in first), on_image)

    def signal(self, node: fx.Node) -> fx.Node:
        """The first argument that relevance is handed on to, as the graph is now."""
        signal = node.args[self.path.signals[node][0]]
        assert isinstance(signal, fx.Node)
        return signal

    def first(self, roles: Mapping[fx.Node, Role]) -> list[fx.Node]:
        """Layers with weights to which the image comes through none with weights."""
        behind: set[fx.Node] = set()
        first = []
        for node, role in roles.items():
            signals = [node.args[place] for place in self.path.signals[node]]
            if any(signal in behind or roles.get(signal) == "linear" for signal in signals):  # type: ignore[arg-type]
                behind.add(node)
            elif role == "linear":
                first.append(node)
        return first

    def named(self, node: fx.Node, role: Role) -> None:
        """Give the operation a module that no other operation calls."""
        if node.op == "call_module":
            if self.calls[str(node.target)] > 1:
                node.target = self.add(role, copy.deepcopy(self.path.submodule(node)))
            self.roles[str(node.target)] = role
            module: Any = self.path.submodule(node)
            if hasattr(module, "inplace"):
                module.inplace = False  # hooks give it a copy anyway; what differs then shows in the trial
            return
        function: Any = node.target
        if node.op == "call_method":
            function = getattr(Tensor, function_name(node))
        more, options = fx.node.map_arg((node.args[1:], node.kwargs), self.value)
        options = {key: value for key, value in options.items() if key != "inplace"}
        self.insert(node, role, Operation(function, more, options), node.args[:1])

    def value(self, node: fx.Node) -> Any:
        """What the operation gave in the trial: a size, which is the same for all images of one shape."""
        if node not in self.path.values:
            raise UserError(f"{function_name(node)}() gives an argument that is a tensor: LRP has no rule; {ELSEWHERE}")
        return self.path.values[node]

    def norm(self, node: fx.Node, roles: Mapping[fx.Node, Role]) -> None:
        norm, before = self.path.submodule(node), self.signal(node)
        if roles.get(before) == "linear" and len(before.users) == 1:
            fold(self.path.submodule(before), norm)
            self.replace(node, before)
            return
        mean = norm.get_buffer("running_mean")
        weight, bias = (each.to(mean) for each in affine_of(norm))
        self.insert(node, "norm", Affine(weight, bias), (before,))

    def add(self, role: Role, module: nn.Module) -> str:
        name = f"{role}_{len(self.roles)}_of_relevance"
        self.module.add_submodule(name, module)
        return name

    def insert(self, node: fx.Node, role: Role, module: nn.Module, arguments: tuple[Any, ...]) -> None:
        """Put a module in the place of the operation."""
        name = self.add(role, module)
        self.roles[name] = role
        with self.graph.inserting_before(node):
            self.replace(node, self.graph.call_module(name, arguments))

    def replace(self, node: fx.Node, by: fx.Node) -> None:
        node.replace_all_uses_with(by)
        self.graph.erase_node(node)
