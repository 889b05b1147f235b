"""A verified slice plan for any network: its own description where it has one, else Torch-Pruning's graph."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from fnmatch import fnmatchcase

import torch
from torch import Tensor, nn

from src.networks.slicing.hand_written import from_description
from src.networks.slicing.plan import SlicePlan
from src.networks.slicing.verification import verify

_VERIFIED: dict[tuple[object, ...], SlicePlan] = {}


def plan_for(model: nn.Module, input_shape: Sequence[int], exclude: Sequence[str] = ()) -> SlicePlan:
    """The slice plan of ``model`` for images [channels, height, width], verified (see ``verify``).

    A network with a method ``kernel_groups`` (as ours have) describes itself; of others the graph is traced by
    Torch-Pruning (extra `plans`). ``exclude``: patterns like "*.se.*"; groups with a convolution of such a name are
    never cut. Equal networks are verified once per process. UserError names what fails and the remedy.
    """
    if not next(model.parameters()).is_cpu:
        model = copy.deepcopy(model).cpu()  # verification makes its images on the CPU
    channels, height, width = input_shape
    shape = (int(channels), int(height), int(width))
    key = (type(model), str(model), shape, tuple(exclude))
    if key not in _VERIFIED:
        output = output_layer(model, shape)
        description = getattr(model, "kernel_groups", None)
        if description is not None:
            left_out = {m for entry in description() for m in entry["members"] if _matches(m, exclude)}
            chosen = [entry for entry in description() if left_out.isdisjoint(entry["members"])]
            plan = from_description(model, chosen, shape, output, sorted(left_out))
        else:
            from src.networks.slicing.torch_pruning import from_torch_pruning  # an optional extra

            plan = from_torch_pruning(model, shape, output, exclude)
        verify(model, plan)
        _VERIFIED[key] = plan
    _VERIFIED[key].check(model)
    return _VERIFIED[key]


def _matches(name: str, patterns: Sequence[str]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)


@torch.inference_mode()
def output_layer(model: nn.Module, input_shape: Sequence[int]) -> str:
    """Name of the linear layer whose output is the network's output, "" if there is none."""
    found: dict[str, Tensor] = {}
    layers = [(name, module) for name, module in model.named_modules() if isinstance(module, nn.Linear)]
    modes = [(module, module.training) for module in model.modules()]
    handles = [
        layer.register_forward_hook(lambda _, __, output, name=name: found.update({name: output}))
        for name, layer in layers
    ]
    reference = next(model.parameters())
    try:
        logits = model.eval()(torch.zeros(1, *input_shape, device=reference.device, dtype=reference.dtype))
    finally:
        for handle in handles:
            handle.remove()
        for module, training in modes:
            module.training = training
    return next((name for name, output in found.items() if output is logits), "")
