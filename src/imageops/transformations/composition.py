"""Transformations one after another; those in a row that are affine become one, with one interpolation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import ClassVar

import torch
from torch import Generator, Tensor

from src.core.errors import UserError
from src.imageops.transformations.affine import Warp
from src.imageops.transformations.corners import Corners, check_corners
from src.imageops.transformations.family import Family, Operator, Value
from src.imageops.transformations.geometric import Cornered, Geometric, with_corners


class Chain(Operator):
    """Operators of as many members each; undone in reversed order."""

    def __init__(self, links: Sequence[Operator]) -> None:
        self.links = list(links)

    def apply(self, images: Tensor, members: Sequence[int]) -> Tensor:
        for link in self.links:
            images = link.apply(images, members)
        return images

    def undo(self, maps: Tensor, members: Sequence[int]) -> Tensor:
        for link in reversed(self.links):
            maps = link.undo(maps, members)
        return maps

    def content(self, shares: Tensor, members: Sequence[int], back: bool) -> Tensor:
        for link in reversed(self.links) if back else self.links:
            shares = link.content(shares, members, back)
        return shares


@dataclass(frozen=True)
class Composition(Family):
    """Several families in order: the grid is the product of theirs, the last one's members next to each other.

    What comes from beyond the border is a choice for all parts together.
    """

    name: ClassVar[str] = "composition"

    parts: tuple[Family, ...] = ()
    corners: str = "fill"
    fill: float = 0.0

    @property
    def _seen(self) -> Corners:
        return Corners(self.corners, self.fill)

    def check(self) -> None:
        check_corners(self.where, self.corners, self.fill)
        if len(self.parts) < 2:
            raise UserError(f"{self.where}.parts: {len(self.parts)} given; list at least two families")
        if self._seen != Corners() and not any(isinstance(part, Cornered) for part in self.parts):
            raise UserError(
                f"{self.where}.corners={self.corners}: no part leaves corners to see; leave corners and fill out"
            )

    def check_size(self, height: int, width: int) -> None:
        for part in self.parts:
            part.check_size(height, width)

    @property
    def title(self) -> str:
        return "+".join(part.title for part in self.parts)

    @property
    def unit(self) -> str:  # type: ignore[override]
        """Those of the parts."""
        return ", ".join(part.unit for part in self.parts if part.unit)

    def grid(self) -> Tensor:
        grids = [part.grid() for part in self.parts]
        chosen = torch.cartesian_prod(*(torch.arange(len(grid)) for grid in grids)).unbind(1)
        return torch.cat([grid[rows] for grid, rows in zip(grids, chosen, strict=True)], 1)

    def draw(self, count: int, generator: Generator) -> Tensor:
        return torch.cat([part.draw(count, generator) for part in self.parts], 1)

    def label(self, row: Sequence[float]) -> str:
        return ", ".join(part.label(own) for part, own in self._shared_out(row))

    def value(self, row: Sequence[float]) -> Value:
        return tuple(part.value(own) for part, own in self._shared_out(row))

    def is_identity(self, row: Sequence[float]) -> bool:
        return all(part.is_identity(own) for part, own in self._shared_out(row))

    def operator(self, parameters: Tensor) -> Operator:
        own = parameters.split([len(part.neutral) for part in self.parts], 1)
        seen, links = self._seen, list[Operator]()
        for affine, group in groupby(zip(self.parts, own, strict=True), lambda pair: isinstance(pair[0], Geometric)):
            if not affine:
                links += [part.operator(values) for part, values in group]
                continue
            steps = [(with_corners(part, seen), values) for part, values in group if isinstance(part, Geometric)]
            cornered = any(isinstance(part, Cornered) for part, _ in steps)
            links.append(
                Warp([part.motions(values) for part, values in steps], seen if cornered else Corners(), self.where)
            )
        return Chain(links)

    def _shared_out(self, row: Sequence[float]) -> list[tuple[Family, Sequence[float]]]:
        found, start = list[tuple[Family, Sequence[float]]](), 0
        for part in self.parts:
            found.append((part, row[start : start + len(part.neutral)]))
            start += len(part.neutral)
        return found
