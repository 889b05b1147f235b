"""Families by name, and one after another: those in a row that are affine become one, with one interpolation."""

from collections.abc import Mapping, Sequence
from dataclasses import fields
from itertools import groupby
from typing import Any, ClassVar

import torch
from torch import Generator, Tensor

from src.core.errors import UserError, suggestion
from src.core.options import Share, check_value, options, options_of
from src.imageops.transformations.affine import Corner, Corners, Warp
from src.imageops.transformations.appearance import Blur, Brightness, Contrast, Noise
from src.imageops.transformations.family import Family, Operator, Value
from src.imageops.transformations.geometric import (
    Cornered,
    Flips,
    Geometric,
    QuarterTurns,
    Rotation,
    Scale,
    Shear,
    Translation,
    with_corners,
)


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


@options
class Composition(Family):
    """Several families in order: the grid is the product of theirs, the last one's members next to each other.

    What comes from beyond the border is a choice for all parts together.
    """

    name: ClassVar[str] = "composition"

    parts: tuple[Family, ...] = ()
    corners: Corner = "fill"
    fill: Share = 0.0

    @property
    def _seen(self) -> Corners:
        return Corners(self.corners, self.fill)

    def __post_init__(self) -> None:
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
        return ", ".join(part.label(mine) for part, mine in self._shared_out(row))

    def value(self, row: Sequence[float]) -> Value:
        return tuple(part.value(mine) for part, mine in self._shared_out(row))

    def is_identity(self, row: Sequence[float]) -> bool:
        return all(part.is_identity(mine) for part, mine in self._shared_out(row))

    def operator(self, parameters: Tensor) -> Operator:
        values_of = parameters.split([len(part.neutral) for part in self.parts], 1)
        seen, links = self._seen, list[Operator]()
        for affine, group in groupby(
            zip(self.parts, values_of, strict=True), lambda pair: isinstance(pair[0], Geometric)
        ):
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
        values = iter(row)
        return [(part, [next(values) for _ in part.neutral]) for part in self.parts]


SINGLE: dict[str, type[Family]] = {
    cls.name: cls
    for cls in (Rotation, QuarterTurns, Flips, Scale, Translation, Shear, Brightness, Contrast, Blur, Noise)
}


def family_of(options: Mapping[str, Any], where: str = "transformation") -> Family:
    """The family that ``options`` describe: its name as ``family``, and its keys. Messages call them ``where``.

    Raises:
        UserError: an unknown family or key, or a value that is not allowed.
    """
    if not isinstance(options, Mapping):
        raise UserError(f"{where}={options}: give a mapping with a family, e.g. {where}.family=rotation")
    values = dict(options)
    name = values.pop("family", None)
    families: dict[str, type[Family]] = {**SINGLE, Composition.name: Composition}
    if name not in families:
        raise UserError(f"{where}.family={name}: {suggestion(str(name), families)}")
    known = ["family", *(field.name for field in fields(families[name]) if field.name != "where")]
    for key in values:
        if key not in known:
            raise UserError(f"{where}.{key}: the family {name} has no such key; {suggestion(str(key), known)}")
    if name != Composition.name:
        return options_of(SINGLE[name], {**values, "where": where}, where)
    parts = values.pop("parts", [])
    if not isinstance(parts, list | tuple):
        raise UserError(f"{where}.parts={parts}: give a list of mappings, one for each family")
    for key, value in values.items():
        check_value({"corners": Corner, "fill": Share}[key], value, f"{where}.{key}")
    families_of_parts = [_part(part, f"{where}.parts.{number}") for number, part in enumerate(parts)]
    return Composition(parts=tuple(families_of_parts), where=where, **values)


def _part(options: Mapping[str, Any], where: str) -> Family:
    given = options if isinstance(options, Mapping) else {}
    if given.get("family") == Composition.name:
        raise UserError(f"{where}.family={Composition.name}: list its parts themselves instead")
    for key in ("corners", "fill"):
        if key in given:
            raise UserError(f"{where}.{key}={given[key]}: it is one for all parts; set it beside parts")
    return family_of(options, where)
