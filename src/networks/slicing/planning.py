"""A verified slice plan for any network: its own description where it has one, else Torch-Pruning's graph."""

import copy
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from src.networks.activations import capture, evaluating
from src.networks.slicing.plan import KernelGroup, SlicePlan, Tap, excluded_layers
from src.networks.slicing.verification import verify

_VERIFIED: dict[tuple[object, ...], SlicePlan] = {}


def plan_for(model: nn.Module, input_shape: Sequence[int]) -> SlicePlan:
    """The slice plan of ``model`` for images [channels, height, width], verified (see ``verify``).

    A network with a method ``kernel_groups`` (as ours have) describes itself; of others the graph is traced by
    Torch-Pruning (extra `plans`). Kernels that are coupled to those of a layer of the option ``exclude``
    are in no group. Equal networks are verified once per process. UserError names what fails and the remedy.
    """
    if not next(model.parameters()).is_cpu:
        model = copy.deepcopy(model).cpu()  # verification makes its images on the CPU
    channels, height, width = input_shape
    shape = (int(channels), int(height), int(width))
    key = (type(model), str(model), shape, excluded_layers(model))
    if key not in _VERIFIED:
        output = output_layer(model, shape)
        description = getattr(model, "kernel_groups", None)
        if description is not None:
            plan = from_description(model, description(), shape, output)
        else:
            from src.networks.slicing.torch_pruning import from_torch_pruning  # an optional extra

            plan = from_torch_pruning(model, shape, output)
        verify(model, plan)
        _VERIFIED[key] = plan
    _VERIFIED[key].check(model)
    return _VERIFIED[key]


def from_description(
    model: nn.Module, description: Sequence[Mapping[str, Any]], input_shape: tuple[int, int, int], output: str
) -> SlicePlan:
    """The plan of a network that describes its wiring by one mapping per group; not yet verified.

    Keys of a mapping: ``name``, ``size``, ``members`` and ``norms`` (convolutions and batch norms cut to the group's
    kernels), ``tap`` (module whose output is the activation after ReLU), ``consumers`` {layer: input columns per
    kernel, kernel by kernel as flatten leaves them}. ``output``: the layer whose rows are the classes.
    """
    present = {name for name, _ in [*model.named_parameters(), *model.named_buffers()]}
    groups: list[KernelGroup] = []
    cuts: list[tuple[str, int, Tensor]] = []
    offset, excluded = 0, excluded_layers(model)
    for entry in description:
        if excluded.intersection(entry["members"]):
            continue
        size = int(entry["size"])
        kernels = torch.arange(offset, offset + size)
        for layer in [*entry["members"], *entry["norms"]]:
            tensors = [f"{layer}.{key}" for key in ("weight", "bias", "running_mean", "running_var")]
            cuts += [(tensor, 0, kernels) for tensor in tensors if tensor in present]
        for layer, columns in entry["consumers"].items():
            cuts.append((f"{layer}.weight", 1, kernels.repeat_interleave(int(columns))))
        groups.append(KernelGroup(entry["name"], size, tuple(entry["members"]), Tap(entry["tap"])))
        offset += size
    return SlicePlan.of(model, groups, cuts, input_shape, output)


@torch.inference_mode()
def output_layer(model: nn.Module, input_shape: Sequence[int]) -> str:
    """Name of the linear layer whose output is the network's output, "" if there is none."""
    layers = [name for name, module in model.named_modules() if isinstance(module, nn.Linear)]
    reference = next(model.parameters())
    with evaluating(model), capture(model, layers) as outputs:
        logits = model(torch.zeros(1, *input_shape, device=reference.device, dtype=reference.dtype))
    return next((name for name, output in outputs.items() if output is logits), "")
