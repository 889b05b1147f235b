"""The images as they are, among the transformed ones, for measures that compare with them."""

import copy
from collections.abc import Sequence

import torch
from torch import Tensor

from src.methods.invariance.passes import Examination, Transformations


def with_reference(examination: Examination) -> tuple[Examination, int, slice]:
    """An examination that the images as they are belong to.

    Returns:
        It; which member they are; which members are the T transformations. Where one of these changes nothing, it is
        the reference and stays one of the T (with the corners that it fills); else a member is put before them.
    """
    if (identity := examination.transformations.identity) is not None:
        return examination, identity, slice(None)
    extended = copy.copy(examination)
    extended.transformations = _Preceded(examination.transformations)
    return extended, 0, slice(1, None)


class _Preceded:
    """The identity, then the members of a set that has none."""

    identity: int | None = 0

    def __init__(self, others: Transformations) -> None:
        self.others = others
        self.names = ("identity", *others.names)

    def __len__(self) -> int:
        return len(self.names)

    def __call__(self, images: Tensor, members: slice | Sequence[int] = slice(None)) -> Tensor:
        rows, moved = self._rows(members)
        made = images[:, None].repeat(1, len(rows), 1, 1, 1)
        if moved:
            others = self.others(images, [rows[place] - 1 for place in moved])
            if others.shape[2:] != images.shape[1:]:
                return others  # the pass refuses another size
            made[:, moved] = others
        return made

    def undo(self, maps: Tensor, members: slice | Sequence[int] = slice(None)) -> Tensor:
        rows, moved = self._rows(members)
        made = maps.clone()
        if moved:
            made[:, moved] = self.others.undo(maps[:, moved], [rows[place] - 1 for place in moved])
        return made

    def valid(self, height: int, width: int) -> Tensor:
        return torch.as_tensor(self.others.valid(height, width))

    def _rows(self, members: slice | Sequence[int]) -> tuple[list[int], list[int]]:
        rows = list(range(len(self))[members]) if isinstance(members, slice) else list(members)
        return rows, [place for place, row in enumerate(rows) if row]
