"""The grid of a family: T transformations, applied to a batch in one go, and undone on the maps of a network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from src.imageops.transformations.description import family_of
from src.imageops.transformations.family import Family

AT_ONCE = 16  # members whose content is followed at once
SHARE = 1e-9  # of a value that may come from elsewhere


class TransformationSet:
    """T transformations of a family; a pure function of each image, whatever else is in the batch.

    Args:
        of: the family.

    Attributes:
        names: of the members, e.g. ``22.5°``.
        values: their parameters.
        family, unit: of the parameters.
        identity: the member that changes nothing (but for the corners that ``disc`` fills), or None.
    """

    def __init__(self, of: Family) -> None:
        parameters = of.grid()
        rows = [tuple(row) for row in parameters.tolist()]
        self.family, self.unit = of.title, of.unit
        self.names = tuple(of.label(row) for row in rows)
        self.values = tuple(of.value(row) for row in rows)
        self.identity = next((number for number, row in enumerate(rows) if of.is_identity(row)), None)
        self._of, self._operator = of, of.operator(parameters)

    def __len__(self) -> int:
        return len(self.names)

    def __call__(self, images: Tensor, members: slice | Sequence[int] = slice(None)) -> Tensor:
        """Each image through each transformation, on the images' device.

        Args:
            images: float (n, C, H, W) of 0..1.
            members: only these, in this order.

        Returns:
            (n, members, C, H, W) of the same type, in contiguous memory.

        Raises:
            UserError: the images cannot be transformed so, e.g. turned by 90 degrees where they are not square.
            ValueError: another type or number of dimensions.
        """
        chosen = self._chosen(members)
        if images.ndim != 4 or not images.is_floating_point():
            raise ValueError(f"images: float (n, C, H, W) is wanted, not {images.dtype} {tuple(images.shape)}")
        self._of.check_size(*images.shape[2:])
        return self._operator.apply(images[:, None].expand(-1, len(chosen), -1, -1, -1), chosen).contiguous()

    def undo(self, maps: Tensor, members: slice | Sequence[int] = slice(None)) -> Tensor:
        """Feature maps moved back, map t by the inverse of transformation t.

        What does not move pixels (blur, noise, brightness, contrast) has nothing to move back: these are the maps
        themselves. Elsewhere a map that is smaller than the image is moved by the same share of its sides; what comes
        from beyond its border is 0, or mirrored where the images' corners are (``reflect``, ``disc``).

        Args:
            maps: float (n, members, K, h, w) of any size.
            members: which ones they are of.

        Returns:
            (n, members, K, h, w).
        """
        chosen = self._chosen(members)
        if maps.ndim != 5 or maps.shape[1] != len(chosen):
            raise ValueError(f"maps: float (n, {len(chosen)}, K, h, w) is wanted, not {tuple(maps.shape)}")
        return self._operator.undo(maps, chosen)

    def valid(self, height: int, width: int) -> Tensor:
        """bool (h, w): where all members, their inverses, and both in turn show nothing but the image.

        For rotations that is the inscribed disc, for whole quarter turns everything.
        """
        ones = torch.ones(1, 1, 1, height, width, dtype=torch.float64)
        shown = torch.ones(height, width, dtype=torch.bool)
        for chosen in torch.arange(len(self)).split(AT_ONCE):
            part = chosen.tolist()
            whole = ones.expand(-1, len(part), -1, -1, -1)
            there = self._operator.content(whole, part, False)
            for share in (there, self._operator.content(there, part, True), self._operator.content(whole, part, True)):
                shown &= (share > 1 - SHARE).all(1)[0, 0]
        return shown

    def _chosen(self, members: slice | Sequence[int]) -> list[int]:
        every = range(len(self))
        return list(every[members] if isinstance(members, slice) else (every[member] for member in members))


def transformation_set(options: Mapping[str, Any], where: str = "transformation") -> TransformationSet:
    """The grid of the family that a plain mapping describes.

    Args:
        where: what messages call the mapping.

    Raises:
        UserError: an unknown family or key, or a value that is not allowed.
    """
    return TransformationSet(family_of(options, where))
