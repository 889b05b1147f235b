"""The activations of all images under one transformation, of as many units at a time as the memory allows."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

from torch import Tensor

from src.core.errors import UserError
from src.methods.invariance.passes import Examination
from src.networks.activations import Layer

Arrange = Callable[[Layer, Tensor], Tensor]
"""A layer and its activations (n, members, units) -> vectors (n, members, K, P) that are judged one by one."""


class Part(NamedTuple):
    """Some of a layer's K vectors."""

    layer: Layer
    which: slice


def in_parts(examination: Examination, sizes: Mapping[str, tuple[int, int]], room: float) -> list[list[Part]]:
    """All vectors in groups, the activations of each of which take ``room`` bytes at most.

    Args:
        sizes: K and P of each layer.

    Raises:
        UserError: a single vector of all images takes more.
    """
    groups: list[list[Part]] = [[]]
    left = room
    for layer in examination.layers:
        count, length = sizes[layer.name]
        each = max(1, length) * len(examination.images) * examination.setup.dtype.itemsize
        if each > room:
            raise UserError(
                f"memory_gb={examination.setup.memory_gb:g}: one unit of layer '{layer.name}' takes {each / 2**30:.2g} "
                f"GiB for {len(examination.images)} images, {max(0.0, room) / 2**30:.2g} are left; take fewer images, "
                "or more memory"
            )
        begin = 0
        while begin < count:
            end = min(count, begin + int(left // each))
            if end > begin:
                groups[-1].append(Part(layer, slice(begin, end)))
                left -= (end - begin) * each
                begin = end
            if begin < count:
                groups.append([])
                left = room
    return groups


def gather(examination: Examination, member: int, parts: list[Part], arrange: Arrange) -> list[Tensor]:
    """Of each part the activations of all images under one transformation: (K of the part, S, P)."""
    gathered: dict[int, Tensor] = {}
    images = len(examination.images)

    def take(layer: Layer, part: slice, block: Tensor) -> None:
        vectors = arrange(layer, block)[:, 0]
        for number, wanted in enumerate(parts):
            if wanted.layer.name == layer.name:
                chosen = vectors[:, wanted.which].transpose(0, 1)
                if number not in gathered:
                    gathered[number] = chosen.new_empty(len(chosen), images, chosen.shape[2])
                gathered[number][:, part] = chosen

    layers = list({part.layer.name: part.layer for part in parts}.values())
    examination.go_through(take, members=[member], layers=layers)
    return [gathered[number] for number in range(len(parts))]
