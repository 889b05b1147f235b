"""Slice plans from the wiring that a network describes itself (its method ``kernel_groups``)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn

from src.networks.slicing.plan import KernelGroup, MapTable, SlicePlan, Tap, fingerprint


def from_description(
    model: nn.Module,
    description: Sequence[Mapping[str, Any]],
    input_shape: tuple[int, int, int],
    output: str,
    excluded: Sequence[str] = (),
) -> SlicePlan:
    """The plan of a network described by one mapping per group; not yet verified.

    Keys of a mapping: ``name``, ``size``, ``members`` and ``norms`` (convolutions and batch norms cut to the group's
    kernels), ``tap`` (module whose output is the activation after ReLU), ``consumers`` {layer: input columns per
    kernel, kernel by kernel as flatten leaves them}. ``output``: the layer whose rows are the classes; ``excluded``:
    convolutions left out on purpose.
    """
    table = MapTable()
    present = {name for name, _ in [*model.named_parameters(), *model.named_buffers()]}
    groups: list[KernelGroup] = []
    offset = 0
    for entry in description:
        size = int(entry["size"])
        kernels = torch.arange(offset, offset + size)
        for name in [*entry["members"], *entry["norms"]]:
            for key in ("weight", "bias", "running_mean", "running_var"):
                if f"{name}.{key}" in present:
                    table.add(f"{name}.{key}", 0, kernels)
        for name, columns in entry["consumers"].items():
            table.add(f"{name}.weight", 1, kernels.repeat_interleave(int(columns)))
        groups.append(KernelGroup(entry["name"], size, tuple(entry["members"]), Tap(entry["tap"])))
        offset += size
    return SlicePlan(
        groups=tuple(groups),
        maps=tuple(table.maps),
        uses=tuple(table.uses),
        input_shape=input_shape,
        output=output,
        fingerprint=fingerprint(model, input_shape),
        excluded=tuple(excluded),
    )
