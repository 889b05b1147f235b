"""Slice plans from Torch-Pruning's dependency graph (Fang et al., CVPR 2023, arXiv:2301.12900).

An optional extra, used at plan time only. Its graph takes unknown operations for element-wise ones and can be wrong
without an error, which is why every plan is verified.
"""

import copy
import ctypes
import threading
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

import torch
from torch import Tensor, nn

from src.core.configuration import first_line
from src.core.errors import UserError
from src.networks.slicing.plan import ALWAYS, KernelGroup, SlicePlan, Tap, excluded_layers
from src.networks.slicing.verification import DESCRIBE, failure

TIME_LIMIT = 60.0
"""Seconds. The networks that can be cut take 0.02 to 3; one that cannot took 78 and was then wrong."""


def from_torch_pruning(
    model: nn.Module, input_shape: tuple[int, int, int], output: str, time_limit: float = TIME_LIMIT
) -> SlicePlan:
    """The plan that Torch-Pruning's graph implies for ``model``, not yet verified.

    A group's tap is the input of the first layer that reads it. Groups with an excluded layer are left out.
    ``output``: the layer whose rows are the classes. UserError where the extra is missing, the tracing fails or takes
    longer than ``time_limit`` seconds.
    """
    try:
        import torch_pruning
    except ImportError as error:
        raise UserError(
            f"slice plan: {type(model).__name__} has no method kernel_groups, so Torch-Pruning has to trace it: "
            "install the extra `plans` (uv sync --extra plans)"
        ) from error
    twin = copy.deepcopy(model).cpu().eval().requires_grad_(True)  # frozen weights would break the tracing
    names = {module: name for name, module in twin.named_modules()}
    try:
        groups = _limited(
            lambda: _traced_groups(torch_pruning, twin, names, input_shape, excluded_layers(model)), time_limit
        )
    except UserError:
        raise
    except Exception as error:  # it raises anything, ZeroDivisionError included
        reason = first_line(error)
        package = f"Torch-Pruning {version('torch-pruning')}"  # its own __version__ lags behind
        raise failure("S", f"{package} cannot trace {type(model).__name__} ({reason})", DESCRIBE) from error
    return _plan(model, groups, input_shape, output)


_Item = tuple[str, bool, list[int], list[int]]  # layer, whether its kernels (else inputs), its positions, root kernels


def _traced_groups(
    torch_pruning: Any,
    twin: nn.Module,
    names: dict[nn.Module, str],
    input_shape: tuple[int, int, int],
    excluded: frozenset[str],
) -> list[list[_Item]]:
    graph = torch_pruning.DependencyGraph()
    with torch.enable_grad():
        graph.build_dependency(twin, example_inputs=(torch.randn(2, *input_shape),), verbose=False)
    inside = {part for module in names for part in module.modules() if isinstance(module, nn.MultiheadAttention)}
    for module, name in names.items():
        cuttable = isinstance(module, nn.Conv2d | nn.Linear | nn.modules.batchnorm._BatchNorm)
        if cuttable and module not in graph.module2node and module not in inside:
            raise failure("S", f"layer '{name}' is not in the traced graph", DESCRIBE)
    groups = []
    for group in graph.get_all_groups(root_module_types=[nn.Conv2d]):
        items: list[_Item] = []
        is_output = False
        members = [
            names[item.dep.target.module]
            for item in group
            if isinstance(item.dep.target.module, nn.Conv2d) and graph.is_out_channel_pruning_fn(item.dep.handler)
        ]
        if excluded.intersection(members):
            continue
        for item in group:
            module = item.dep.target.module
            is_output |= type(module).__name__ == "_OutputOp"
            if isinstance(module, nn.Parameter):
                name = next((key for key, value in twin.named_parameters() if value is module), "?")
                raise failure("S", f"conv '{members[0]}': bare parameter '{name}' depends on its kernels")
            if module in names:
                kernels = graph.is_out_channel_pruning_fn(item.dep.handler)
                items.append((names[module], kernels, list(item.idxs), list(item.root_idxs)))
        if not is_output:
            groups.append(items)
    return groups


def _plan(model: nn.Module, traced: list[list[_Item]], input_shape: tuple[int, int, int], output: str) -> SlicePlan:
    layers = dict(model.named_modules())
    order = {name: index for index, name in enumerate(layers)}
    cuts: dict[tuple[str, int], Tensor] = {}
    groups: list[KernelGroup] = []
    offset = 0
    for items in sorted(traced, key=lambda items: min(order[name] for name, kernels, _, _ in items if kernels)):
        members = sorted({n for n, k, _, _ in items if k and isinstance(layers[n], nn.Conv2d)}, key=order.__getitem__)
        readers = []
        for name, kernels, positions, roots in items:
            layer = layers[name]
            if not kernels and isinstance(layer, nn.Conv2d | nn.Linear) and not _depthwise(layer):
                readers.append(name)
            _add(cuts, members[0], name, layer, kernels, positions, torch.tensor(roots) + offset)
        if not readers:
            raise failure("S", f"no layer reads the kernels of conv '{members[0]}'")
        size = 1 + max(max(roots) for _, _, _, roots in items)
        tap = Tap(min(readers, key=order.__getitem__), "input")
        groups.append(KernelGroup("+".join(members), size, tuple(members), tap))
        offset += size
    return SlicePlan.of(model, groups, ((*cut, owners) for cut, owners in cuts.items()), input_shape, output)


def _add(
    cuts: dict[tuple[str, int], Tensor],
    convolution: str,
    name: str,
    layer: nn.Module,
    kernels: bool,
    positions: list[int],
    owners: Tensor,
) -> None:
    """Enters that the positions of a layer's kernels (or of its inputs) belong to ``owners``, of a ``convolution``."""
    of_kernels = kernels or _depthwise(layer) or not isinstance(layer, nn.Conv2d | nn.Linear)
    keys = ("weight", "bias", "running_mean", "running_var") if of_kernels else ("weight",)
    dim = 0 if of_kernels else 1
    for key in keys:
        tensor = getattr(layer, key, None)
        if not isinstance(tensor, Tensor):
            continue
        length = tensor.shape[dim]
        if isinstance(layer, nn.PReLU) and length == 1:
            continue
        owned = cuts.setdefault((f"{name}.{key}", dim), torch.full((length,), ALWAYS))
        if max(positions) >= length:
            raise failure("S", f"conv '{convolution}': position {max(positions)} of {length} of layer '{name}'")
        taken = owned[positions]
        if ((taken != ALWAYS) & (taken != owners)).any():
            raise failure("S", f"conv '{convolution}': a position of layer '{name}' belongs to two kernels")
        owned[positions] = owners


def _depthwise(layer: nn.Module) -> bool:
    return isinstance(layer, nn.Conv2d) and layer.groups > 1 and layer.groups == layer.in_channels


class _TimeUp(BaseException):
    """No Exception, since the tracing code catches those."""


def _limited(call: Callable[[], Any], seconds: float) -> Any:
    """The result of ``call``, run in a thread that is stopped after ``seconds`` (it is Python all through)."""
    outcome: dict[str, Any] = {}

    def target() -> None:
        try:
            outcome["value"] = call()
        except BaseException as error:
            outcome["error"] = error

    thread = threading.Thread(target=target, daemon=True)
    thread.start()
    thread.join(seconds)
    if thread.is_alive():
        ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread.ident or 0), ctypes.py_object(_TimeUp))
        thread.join(5)
        raise failure("S", f"Torch-Pruning did not finish within {seconds:g} s", DESCRIBE)
    if "error" in outcome:
        raise outcome["error"]
    return outcome["value"]
