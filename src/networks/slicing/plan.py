"""Which rows and columns of which tensors belong to which kernel: a network's slice plan."""

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cached_property
from typing import Literal

import torch
from torch import Tensor, nn

from src.core.errors import UserError
from src.core.shown import Shown

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
class SlicePlan(Shown):
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

    @staticmethod
    def of(
        model: nn.Module,
        groups: Iterable[KernelGroup],
        cuts: Iterable[tuple[str, int, Tensor]],
        input_shape: tuple[int, int, int],
        output: str,
    ) -> "SlicePlan":
        """The plan that cuts (tensor, dimension) by positions; equal ones are stored once, so that cutting is cheap."""
        maps: list[Tensor] = []
        uses: list[Use] = []
        known: dict[bytes, int] = {}
        for tensor, dim, positions in cuts:
            number = known.setdefault(positions.numpy().tobytes(), len(maps))
            if number == len(maps):
                maps.append(positions)
            uses.append(Use(tensor, dim, number))
        shapes = fingerprint(model, input_shape)
        return SlicePlan(tuple(groups), tuple(maps), tuple(uses), input_shape, output, shapes)

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
        return torch.tensor([len(group.members) for group in self.groups])[self.group_index]

    @cached_property
    def group_index(self) -> Tensor:
        """int64 (K,): the group of each kernel."""
        return torch.arange(len(self.groups)).repeat_interleave(torch.tensor(self.sizes))

    def slices(self) -> list[slice]:
        """The range of each group on the kernel axis."""
        return [slice(start, stop) for start, stop in zip(self.offsets, self.offsets[1:], strict=False)]

    def map_of(self, tensor: str, dim: int) -> Tensor | None:
        """The map that cuts this dimension, int64 (positions,), or None where it is never cut."""
        return next((self.maps[use.map] for use in self.uses if (use.tensor, use.dim) == (tensor, dim)), None)

    def group_of(self, positions: Tensor) -> str:
        """Name of a group that owns some of a map's positions."""
        return next((group.name for group, part in zip(self.groups, self.slices(), strict=True)
                     if ((positions >= part.start) & (positions < part.stop)).any()), "")  # fmt: skip

    @cached_property
    def readers(self) -> dict[str, Tensor]:
        """Layers that read kernels, by name, with the map of their input columns."""
        return {use.tensor.removesuffix(".weight"): self.maps[use.map] for use in self.uses if use.dim == 1}

    def tap_positions(self, group: int) -> Tensor:
        """int64: for each channel (or feature) at the group's tap its kernel in the group, or -1 for another's."""
        tap, size = self.groups[group].tap, self.sizes[group]
        if tap.side == "output":
            return torch.arange(size)
        positions = self.readers[tap.module] - self.offsets[group]
        return positions.where((positions >= 0) & (positions < size), torch.tensor(ALWAYS))

    def check(self, model: nn.Module) -> None:
        """Raises UserError where the plan was made for another class or other shapes."""
        actual = fingerprint(model, self.input_shape)
        if actual != self.fingerprint:
            raise UserError(
                f"slice plan: made for another network than this {type(model).__name__} (fingerprint "
                f"{self.fingerprint[:12]}, the network's is {actual[:12]}); make it anew with plan_for"
            )


def excluded_layers(model: nn.Module) -> frozenset[str]:
    """Names of the layers whose kernels stay, by patterns in the network's attribute ``uncut_layers``."""
    patterns = getattr(model, "uncut_layers", ())
    return frozenset(name for name, _ in model.named_modules() if any(fnmatchcase(name, one) for one in patterns))


def fingerprint(model: nn.Module, input_shape: Sequence[int]) -> str:
    """SHA-256 of the model's class, the names and shapes of its tensors, and the input's shape."""
    tensors = [*model.named_parameters(), *model.named_buffers()]
    shapes = [[name, list(tensor.shape)] for name, tensor in tensors]
    plain = [type(model).__module__, type(model).__qualname__, shapes, list(input_shape)]
    return hashlib.sha256(json.dumps(plain).encode()).hexdigest()
