"""The way of relevance through a network: its traced operations, each with the role that a rule is known for.

The network is traced by torch.fx, so that what it does by functions (``x + y``, ``relu(x)``, ``x.mean(...)``) is seen
in the order of computing. What no rule is known for is refused by name before anything runs.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, fx, nn

from src.core.configuration import first_line
from src.core.errors import UserError
from src.core.shown import Shown
from src.networks.models.pooling import MaxBlurPool2d, blurred
from src.networks.models.simple_conv import LinearOnMap

Role = Literal["linear", "norm", "activation", "average", "sum", "gate", "skip", "route"]
"""``linear``: a convolution or dense layer. ``gate``: a signal times a factor that counts as constant. ``skip``:
nothing happens. ``route``: each output is one of the inputs (views, slices, zeros around, the largest of a window)."""

ELSEWHERE = "take gradient, integrated_gradients, grad_cam or occlusion, which need no rules"


class Blur(nn.Module):
    """The linear half of a `MaxBlurPool2d`."""

    def forward(self, x: Tensor) -> Tensor:
        return blurred(blurred(x, 2), 3)


LINEAR = (nn.Conv2d, nn.Linear, LinearOnMap)
SAME_CONVOLUTION = "timm.layers.conv2d_same.Conv2dSame"
NORMED_ACTIVATION = "timm.layers.norm_act.BatchNormAct2d"

# An activation with f(0) = 0 is a gate on its own input, x times f(x) / x, and passes relevance on as a gate does.
ACTIVATIONS: tuple[type[nn.Module], ...] = (
    *(nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.PReLU, nn.ELU, nn.SELU, nn.CELU, nn.Hardtanh, nn.Tanh, nn.Softsign),
    *(nn.SiLU, nn.GELU, nn.Hardswish, nn.Mish),
)
SKIPPED = (nn.Identity, nn.Dropout, nn.Dropout2d, nn.AlphaDropout, nn.FeatureAlphaDropout)
MODULES: tuple[tuple[tuple[type[nn.Module], ...], Role], ...] = (
    ((nn.BatchNorm1d, nn.BatchNorm2d), "norm"),
    (ACTIVATIONS, "activation"),
    ((nn.AvgPool2d, nn.AdaptiveAvgPool2d, Blur), "average"),
    (SKIPPED, "skip"),
    ((nn.Flatten, nn.Unflatten, nn.MaxPool2d, nn.AdaptiveMaxPool2d, nn.ZeroPad2d, nn.PixelUnshuffle), "route"),
)
FUNCTIONS: dict[str, Role] = {
    **dict.fromkeys(("relu", "relu6", "leaky_relu", "elu", "selu", "celu", "hardtanh", "tanh"), "activation"),
    **dict.fromkeys(("silu", "gelu", "hardswish", "mish"), "activation"),
    **dict.fromkeys(("mean", "avg_pool2d", "adaptive_avg_pool2d"), "average"),
    **dict.fromkeys(("dropout", "dropout2d", "stochastic_depth"), "skip"),
    **dict.fromkeys(("flatten", "unflatten", "view", "reshape", "squeeze", "unsqueeze"), "route"),
    **dict.fromkeys(
        ("contiguous", "clone", "permute", "transpose", "getitem", "index_select", "max_pool2d", "pad"), "route"
    ),
    **dict.fromkeys(("add", "iadd"), "sum"),
    **dict.fromkeys(("mul", "imul"), "gate"),
}
SHARES = (nn.Sigmoid, nn.Hardsigmoid)  # what ends a gate's branch; of functions by name
VIEWS = frozenset({"getitem", "view", "reshape", "unsqueeze", "expand", "expand_as", "squeeze", "contiguous"})


@dataclass(frozen=True)
class Path(Shown):
    """The operations that relevance runs through, in the order of computing.

    Attributes:
        module: the traced copy.
        roles: operation -> its role; what only computes gates is not among them.
        signals: operation -> positions of those of its arguments that relevance is handed on to.
        values: of a trial, what each operation gave that is no tensor (sizes).
        logits: that the copy gave for ``trial``.
        trial: float (2, C, H, W).
    """

    module: fx.GraphModule
    roles: dict[fx.Node, Role]
    signals: dict[fx.Node, tuple[int, ...]]
    values: dict[fx.Node, Any]
    logits: Tensor
    trial: Tensor

    def submodule(self, node: fx.Node) -> nn.Module:
        return self.module.get_submodule(str(node.target))


def copy_of(model: nn.Module) -> nn.Module:
    """A deep copy in evaluation mode, without gradients and without the hooks that a user put on the original.

    Raises:
        UserError: the network cannot be copied.
    """
    try:
        twin = copy.deepcopy(model)
    except (RuntimeError, TypeError) as error:
        raise UserError(f"{type(model).__name__} cannot be copied ({first_line(error)}); detach its tensors") from None
    for module in twin.modules():
        for hooks in (module._forward_hooks, module._forward_pre_hooks, module._backward_hooks):
            hooks.clear()
        module._backward_pre_hooks.clear()
    return twin.eval().requires_grad_(False)


def path_of(model: nn.Module, input_shape: Sequence[int], name: str = "") -> Path:
    """Trace a copy of ``model`` and name the role of each operation.

    Args:
        model: images (n, C, H, W) to logits (n, N).
        input_shape: channels, height, width.
        name: of the network, for messages.

    Raises:
        UserError: an operation has no rule, or the network cannot be traced.
    """
    name = name or type(model).__name__
    twin = _expanded(copy_of(model))
    try:
        graph = _Tracer().trace(twin)
    except Exception as error:  # whatever a network's own code raises when it is given a proxy
        raise UserError(f"{name}: LRP cannot trace it ({first_line(error)[:120]}); {ELSEWHERE}") from None
    module = fx.GraphModule(twin, graph)
    trial = _trial(model, input_shape)
    recorder = _Recorder(module)
    with torch.no_grad():
        try:
            logits = recorder.run(trial)
        except (RuntimeError, TypeError, ValueError) as error:
            raise UserError(f"{name}: LRP cannot run its trace ({first_line(error)[:120]}); {ELSEWHERE}") from None
    if not isinstance(logits, Tensor) or logits.ndim != 2:
        raise UserError(f"{name}: LRP needs logits (n, N) and no other output; {ELSEWHERE}")
    roles, signals = _Roles(module, recorder.shapes, name).along_the_way()
    return Path(module, roles, signals, recorder.values, logits, trial)


def function_name(node: fx.Node) -> str:
    """``relu`` of ``F.relu``, ``relu_`` and ``x.relu()``."""
    if node.target is F.max_pool2d:
        return "max_pool2d"  # torch's own name for it says only that it dispatches
    return str(getattr(node.target, "__name__", node.target)).rstrip("_")


def _trial(model: nn.Module, input_shape: Sequence[int]) -> Tensor:
    reference = next(model.parameters(), torch.zeros(()))
    images = torch.randn(2, *input_shape, generator=torch.Generator().manual_seed(0))
    return images.to(reference.device, reference.dtype)


def _qualified(module: nn.Module) -> str:
    return f"{type(module).__module__}.{type(module).__qualname__}"


def _is_linear(module: nn.Module) -> bool:
    # exactly these: a subclass may do anything with its weights
    return type(module) in LINEAR or _qualified(module) == SAME_CONVOLUTION


def _expanded(model: nn.Module) -> nn.Module:
    """Modules that do two things in one become two, in place."""
    for parent in list(model.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, MaxBlurPool2d):
                parent.add_module(name, nn.Sequential(nn.MaxPool2d(2, stride=1), Blur()))
            elif _qualified(child) == NORMED_ACTIVATION:
                parent.add_module(name, nn.Sequential(_plain_norm(child), *map(child.get_submodule, ("drop", "act"))))
    return model


def _plain_norm(normed: nn.Module) -> nn.BatchNorm2d:
    assert isinstance(normed, nn.BatchNorm2d)
    norm = nn.BatchNorm2d(normed.num_features, normed.eps, normed.momentum, normed.affine, normed.track_running_stats)
    norm._parameters, norm._buffers = normed._parameters, normed._buffers
    return norm.eval()


class _Tracer(fx.Tracer):
    """Stops at torch's modules and at those of others that a rule is known for."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return super().is_leaf_module(m, module_qualified_name) or isinstance(m, Blur) or _is_linear(m)


class _Recorder(fx.Interpreter):
    """Runs the trace and notes shapes and sizes."""

    def __init__(self, module: fx.GraphModule) -> None:
        super().__init__(module)
        self.shapes: dict[fx.Node, tuple[int, ...]] = {}
        self.values: dict[fx.Node, Any] = {}

    def run_node(self, n: fx.Node) -> Any:
        result = super().run_node(n)
        if isinstance(result, Tensor):
            self.shapes[n] = tuple(result.shape)
        elif isinstance(result, tuple) and any(isinstance(each, Tensor) for each in result):
            self.shapes[n] = ()  # of several tensors
        elif n.op != "output":
            self.values[n] = result
        return result


class _Roles:
    """Follows relevance from the logits back to the image."""

    def __init__(self, module: fx.GraphModule, shapes: Mapping[fx.Node, tuple[int, ...]], name: str) -> None:
        self.module, self.shapes, self.name = module, shapes, name
        self.modules: dict[str, nn.Module] = dict(module.named_modules())
        self.of_image: set[fx.Node] = set()  # tensors that hang on the image
        for node in module.graph.nodes:
            if node in shapes and (
                node.op == "placeholder" or any(source in self.of_image for source in node.all_input_nodes)
            ):
                self.of_image.add(node)

    def along_the_way(self) -> tuple[dict[fx.Node, Role], dict[fx.Node, tuple[int, ...]]]:
        """Roles of all operations that hand relevance on, in the order of computing, and to which arguments they do."""
        (output,) = (node for node in self.module.graph.nodes if node.op == "output")
        roles: dict[fx.Node, Role] = {}
        signals: dict[fx.Node, tuple[int, ...]] = {}
        waiting = [output.args[0]]
        while waiting:
            node = waiting.pop()
            if node in roles or node.op == "placeholder":
                continue
            roles[node] = self.role(node)
            signals[node] = self.signals(node, roles[node])
            waiting += [node.args[place] for place in signals[node]]
        order = [node for node in self.module.graph.nodes if node in roles]
        return {node: roles[node] for node in order}, {node: signals[node] for node in order}

    def role(self, node: fx.Node) -> Role:
        if node.op == "call_module":
            module = self.modules[str(node.target)]
            if _is_linear(module):
                # of old-style weight norm the weight is no parameter
                return "linear" if "weight" in module._parameters else self.refuse(node)
            if type(module) in (nn.BatchNorm1d, nn.BatchNorm2d) and module.running_mean is None:
                return self.refuse(node, "without running statistics")
            return next((role for types, role in MODULES if type(module) in types), None) or self.refuse(node)
        if node.op in ("call_function", "call_method"):
            name = function_name(node)
            if name == "pad" and not _pads_zeros(node):
                return self.refuse(node, "with other values than 0")
            return FUNCTIONS.get(name) or self.refuse(node)
        return self.refuse(node)

    def signals(self, node: fx.Node, role: Role) -> tuple[int, ...]:
        """The positions of the arguments that relevance is handed on to."""
        places: tuple[int, ...] = (0, 1) if role in ("sum", "gate") else (0,)
        if len(node.args) < len(places) or (role == "sum" and node.kwargs):
            return self.refuse(node, "called by keywords")
        if role == "gate":
            places = tuple(place for place in places if not self.is_gate(node.args[place]))
            if len(places) != 1:
                return self.refuse(node, "of two signals")
        for place in places:
            signal = node.args[place]
            if not isinstance(signal, fx.Node) or signal not in self.of_image:
                return self.refuse(node, "of a constant")
            if role in ("sum", "gate") and self.shapes[signal] != self.shapes[node]:
                return self.refuse(node, "of unequal shapes")
        return places

    def is_gate(self, operand: Any) -> bool:
        """Whether it is a factor of 0..1 that the network computes for its signal, or a constant."""
        while isinstance(operand, fx.Node) and operand in self.of_image:
            if operand.op == "call_module":
                return isinstance(self.modules[str(operand.target)], SHARES)
            name = function_name(operand)
            if name in ("sigmoid", "hardsigmoid"):
                return True
            if name not in VIEWS:
                return False
            operand = operand.args[0]
        return True

    def refuse(self, node: fx.Node, how: str = "") -> Any:
        if node.op == "call_module":
            what = f"{node.target} ({type(self.modules[str(node.target)]).__name__})"
        elif node.op in ("call_function", "call_method"):
            what = f"{function_name(node)}()" + (f" in {place}" if (place := _place(node)) else "")
        else:
            what = f"{node.target}"
        raise UserError(f"{self.name}: LRP has no exact rule for {' '.join((what, how)).strip()}; {ELSEWHERE}")


def _place(node: fx.Node) -> str:
    """The module whose code calls the function."""
    stack = list((node.meta.get("nn_module_stack") or {}).values())
    return f"{stack[-1][0]} ({stack[-1][1].__name__})" if stack else ""


def _pads_zeros(node: fx.Node) -> bool:
    given = dict(zip(("input", "pad", "mode", "value"), node.args, strict=False)) | dict(node.kwargs)
    return bool(given.get("mode", "constant") == "constant") and given.get("value") in (None, 0)
