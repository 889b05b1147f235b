"""Which rows and columns of which tensors belong to which kernel: a network's slice plan."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

import torch
from torch import Tensor, nn

from src.core.errors import UserError

ALWAYS = -1
"""In a map: this position belongs to no kernel and is always kept."""


@dataclass(frozen=True)
class Tap:
    """Where a group's activation after its ReLU is read: the output of a module, or the input of a reading layer."""

    module: str
    side: Literal["output", "input"] = "output"


@dataclass(frozen=True)
class KernelGroup:
    """Convolutions whose kernels are coupled (a sum adds their maps): kernel k is kept in all members or in none."""

    name: str
    size: int
    members: tuple[str, ...]
    tap: Tap


@dataclass(frozen=True)
class Use:
    """Dimension ``dim`` of the tensor named ``tensor`` is cut by the plan's map number ``map``."""

    tensor: str
    dim: int
    map: int


@dataclass(frozen=True, eq=False)
class SlicePlan:
    """A network's kernel groups, its distinct index maps, and their uses.

    The kernels of all groups, in order, form one axis of length K. A map gives for every position of a tensor's
    dimension the kernel (0..K-1) that the position belongs to, or -1 where it is always kept. ``output`` names the
    layer whose rows are the classes ("" if none is). ``fingerprint`` ties the plan to a model class and its shapes.
    """

    groups: tuple[KernelGroup, ...]
    maps: tuple[Tensor, ...]
    uses: tuple[Use, ...]
    input_shape: tuple[int, int, int]
    output: str
    fingerprint: str
    source: str = "hand-written"
    excluded: tuple[str, ...] = field(default=())

    @cached_property
    def sizes(self) -> tuple[int, ...]:
        """Kernels of each group."""
        return tuple(group.size for group in self.groups)

    @cached_property
    def offsets(self) -> tuple[int, ...]:
        """Start of each group on the kernel axis, and K at the end."""
        return tuple(sum(self.sizes[:index]) for index in range(len(self.groups) + 1))

    @property
    def kernels(self) -> int:
        """K: the length of the kernel axis."""
        return sum(self.sizes)

    @cached_property
    def multiplicity(self) -> Tensor:
        """int64 (K,): the number of convolution kernels that one position of the kernel axis stands for."""
        members = torch.tensor([len(group.members) for group in self.groups])
        return members.repeat_interleave(torch.tensor(self.sizes))

    @cached_property
    def group_index(self) -> Tensor:
        """int64 (K,): the group of each kernel."""
        return torch.arange(len(self.groups)).repeat_interleave(torch.tensor(self.sizes))

    def slices(self) -> list[slice]:
        """The range of each group on the kernel axis."""
        return [slice(start, stop) for start, stop in zip(self.offsets, self.offsets[1:], strict=False)]

    def map_of(self, tensor: str, dim: int) -> Tensor | None:
        """The map that cuts this dimension, int64 (positions,), or None where it is never cut."""
        found = self._map_index.get((tensor, dim))
        return None if found is None else self.maps[found]

    @cached_property
    def _map_index(self) -> dict[tuple[str, int], int]:
        return {(use.tensor, use.dim): use.map for use in self.uses}

    @cached_property
    def readers(self) -> dict[str, Tensor]:
        """Layers that read kernels, by name, with the map of their input columns."""
        found = {use.tensor: self.maps[use.map] for use in self.uses if use.dim == 1}
        return {tensor.removesuffix(".weight"): positions for tensor, positions in found.items()}

    def tap_positions(self, group: int) -> Tensor:
        """int64: for each channel (or feature) at the group's tap its kernel in the group, or -1 for another's."""
        tap, size = self.groups[group].tap, self.sizes[group]
        if tap.side == "output":
            return torch.arange(size)
        positions = self.readers[tap.module] - self.offsets[group]
        return positions.where((positions >= 0) & (positions < size), torch.tensor(ALWAYS))

    def check(self, model: nn.Module) -> None:
        """Raises UserError where the plan was made for another class or other shapes."""
        found = fingerprint(model, self.input_shape)
        if found != self.fingerprint:
            raise UserError(
                f"slice plan: made for another network than this {type(model).__name__} (fingerprint "
                f"{self.fingerprint[:12]}, the network's is {found[:12]}); make it anew with plan_for"
            )

    def to_json(self) -> str:
        """The plan as one line of JSON."""
        return json.dumps(
            {
                "groups": [
                    [group.name, group.size, list(group.members), group.tap.module, group.tap.side]
                    for group in self.groups
                ],
                "maps": [positions.tolist() for positions in self.maps],
                "uses": [[use.tensor, use.dim, use.map] for use in self.uses],
                "input_shape": list(self.input_shape),
                "output": self.output,
                "fingerprint": self.fingerprint,
                "source": self.source,
                "excluded": list(self.excluded),
            },
            separators=(",", ":"),
        )

    @staticmethod
    def from_json(text: str) -> SlicePlan:
        """The plan that ``to_json`` wrote; UserError where the text is none."""
        try:
            plain: dict[str, Any] = json.loads(text)
            channels, height, width = plain["input_shape"]
            return SlicePlan(
                groups=tuple(
                    KernelGroup(name, size, tuple(members), Tap(module, side))
                    for name, size, members, module, side in plain["groups"]
                ),
                maps=tuple(torch.tensor(positions, dtype=torch.int64) for positions in plain["maps"]),
                uses=tuple(Use(*use) for use in plain["uses"]),
                input_shape=(channels, height, width),
                output=plain["output"],
                fingerprint=plain["fingerprint"],
                source=plain["source"],
                excluded=tuple(plain["excluded"]),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise UserError(f"slice plan: damaged JSON ({error}); make it anew with plan_for") from error

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the JSON text."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()


class MapTable:
    """Collects maps and uses; equal maps are stored once, which is what makes cutting cheap."""

    def __init__(self) -> None:
        self.maps: list[Tensor] = []
        self.uses: list[Use] = []
        self._known: dict[bytes, int] = {}

    def add(self, tensor: str, dim: int, positions: Tensor) -> None:
        key = positions.numpy().tobytes()
        if key not in self._known:
            self._known[key] = len(self.maps)
            self.maps.append(positions)
        self.uses.append(Use(tensor, dim, self._known[key]))


def fingerprint(model: nn.Module, input_shape: Sequence[int]) -> str:
    """SHA-256 of the model's class, the names and shapes of its tensors, and the input's shape."""
    tensors = [*model.named_parameters(), *model.named_buffers()]
    shapes = [[name, list(tensor.shape)] for name, tensor in tensors]
    plain = [type(model).__module__, type(model).__qualname__, shapes, list(input_shape)]
    return hashlib.sha256(json.dumps(plain).encode()).hexdigest()


def at_least_one(plan: SlicePlan, keep: Tensor, order: Tensor) -> Tensor:
    """A copy of ``keep`` in which every group keeps a kernel: an empty group gets the first kernel of ``order``.

    ``keep`` bool (..., K); ``order`` int64 (K,) or (..., K): each group's kernels by falling importance, as positions
    on the kernel axis. Groups cannot be empty: a convolution without kernels has no output.
    """
    keep = keep.clone()
    order = order.expand(keep.shape)
    for part in plan.slices():
        empty = ~keep[..., part].any(-1, keepdim=True)
        first = order[..., part.start : part.start + 1]
        keep.scatter_(-1, first, keep.gather(-1, first) | empty)
    return keep
