"""Families that move pixels: rotations, flips, scalings, translations, shears."""

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, ClassVar, Literal

import torch
from annotated_types import Gt, Le
from torch import Generator, Tensor

from src.core.errors import UserError
from src.core.options import Count, Share, options
from src.imageops.transformations.affine import Corner, Corners, Motions, Warp
from src.imageops.transformations.family import Factors, Family, Operator, Steps, uniform


@options
class Geometric(Family):
    """A family of affine maps."""

    @abstractmethod
    def motions(self, parameters: Tensor) -> Motions:
        """What the members with parameters (m, p) do."""

    @property
    def seen(self) -> Corners:
        """What is seen in the corners; nothing where no corner is left."""
        return Corners()

    def operator(self, parameters: Tensor) -> Operator:
        return Warp([self.motions(parameters)], self.seen, self.where)


@options
class Exact(Geometric):
    """One whose grid is all that there is; each member is drawn as often."""

    def draw(self, count: int, generator: Generator) -> Tensor:
        grid = self.grid()
        return grid[torch.randint(len(grid), (count,), generator=generator)]


@options
class Cornered(Geometric):
    """One that moves something in from beyond the border."""

    corners: Corner = "fill"
    fill: Share = 0.0

    @property
    def seen(self) -> Corners:
        return Corners(self.corners, self.fill)


@options
class Angles(Cornered):
    """By angles within ``degrees`` that lie half on either side of 0; drawn uniformly."""

    unit: ClassVar[str] = "°"
    neutral: ClassVar[tuple[float, ...]] = (0.0,)

    degrees: Annotated[float, Gt(0), Le(360)] = 360.0
    count: Steps = 16

    def grid(self) -> Tensor:
        return torch.linspace(-self.degrees / 2, self.degrees / 2, self.count, dtype=torch.float64)[:, None]

    def draw(self, count: int, generator: Generator) -> Tensor:
        return uniform(-self.degrees / 2, self.degrees / 2, (count, 1), generator)

    def label(self, row: Sequence[float]) -> str:
        return f"{row[0]:g}°"


def with_corners(family: Geometric, corners: Corners) -> Geometric:
    """The family with the corners of a composition that it is part of."""
    return replace(family, corners=corners.kind, fill=corners.fill) if isinstance(family, Cornered) else family


def _unmoved(linear: Tensor) -> Motions:
    return Motions(linear, torch.zeros(len(linear), 2, dtype=torch.float64))


def _turned(degrees: Tensor) -> Motions:
    """Rotations (m, 1), counterclockwise; multiples of 90 degrees have exact zeros and ones."""
    quarters = torch.round(degrees[:, 0] / 90)
    rest = torch.deg2rad(degrees[:, 0] - 90 * quarters)
    cosine, sine = (torch.tensor(table, dtype=torch.float64) for table in ([1, 0, -1, 0], [0, 1, 0, -1]))
    which = quarters.long() % 4
    across = rest.cos() * cosine[which] - rest.sin() * sine[which]
    along = rest.sin() * cosine[which] + rest.cos() * sine[which]
    return _unmoved(torch.stack([across, along, -along, across], 1).view(-1, 2, 2))


@options
class Rotation(Angles):
    """Counterclockwise. The grid of a full turn has equal steps, 0 among them and 180 but once, of less both ends."""

    name: ClassVar[str] = "rotation"

    def grid(self) -> Tensor:
        if self.degrees < 360:
            return super().grid()
        return (torch.arange(self.count, dtype=torch.float64) - self.count // 2)[:, None] * 360 / self.count

    def motions(self, parameters: Tensor) -> Motions:
        return _turned(parameters)


@options
class QuarterTurns(Exact):
    """The four rotations by multiples of 90 degrees, exact."""

    name: ClassVar[str] = "rot90"
    unit: ClassVar[str] = "°"
    neutral: ClassVar[tuple[float, ...]] = (0.0,)

    def check_size(self, height: int, width: int) -> None:
        if height != width:
            raise UserError(
                f"{self.where}.family=rot90: it changes the size of {height}x{width} images; take square images"
            )

    def grid(self) -> Tensor:
        return 90 * torch.arange(4, dtype=torch.float64)[:, None]

    def label(self, row: Sequence[float]) -> str:
        return f"{row[0]:g}°"

    def motions(self, parameters: Tensor) -> Motions:
        return _turned(parameters)


FLIPS = {(1.0, 1.0): "identity", (-1.0, 1.0): "left_right", (1.0, -1.0): "up_down", (-1.0, -1.0): "both"}


@options
class Flips(Exact):
    """Left and right swapped, up and down, both or none, exact."""

    name: ClassVar[str] = "flips"
    neutral: ClassVar[tuple[float, ...]] = (1.0, 1.0)

    def grid(self) -> Tensor:
        return torch.tensor(list(FLIPS), dtype=torch.float64)

    def label(self, row: Sequence[float]) -> str:
        return FLIPS[row[0], row[1]]

    def motions(self, parameters: Tensor) -> Motions:
        return _unmoved(parameters.diag_embed())


@options
class Scale(Factors, Cornered):
    """The image larger or smaller about its middle."""

    name: ClassVar[str] = "scale"

    def motions(self, parameters: Tensor) -> Motions:
        return _unmoved(parameters.expand(-1, 2).diag_embed())


DIRECTIONS = {
    (1, 0): "right",
    (0, 1): "down",
    (-1, 0): "left",
    (0, -1): "up",
    (1, 1): "right down",
    (-1, 1): "left down",
    (-1, -1): "left up",
    (1, -1): "right up",
}


@options
class Translation(Cornered):
    """By up to ``shift`` to the right and down: of the image's sides, or with ``side`` pixels of images of that side.

    The grid has the identity and ``count`` distances in each of 4 or 8 ``directions``, diagonal ones as far along both
    axes. With 8 both shifts are drawn uniformly, with 4 that along one of the axes.
    """

    name: ClassVar[str] = "translation"
    neutral: ClassVar[tuple[float, ...]] = (0.0, 0.0)

    shift: Annotated[float, Gt(0)] = 0.125
    side: Count | None = None
    directions: Literal[4, 8] = 8
    count: Count = 2

    def __post_init__(self) -> None:
        if self.shift > (self.side or 1):
            raise ValueError(f"{self.where}.shift={self.shift:g}: allowed is a number above 0 to {self.side or 1}")

    def check_size(self, height: int, width: int) -> None:
        if self.side not in (None, height) or self.side not in (None, width):
            raise UserError(
                f"{self.where}.side={self.side}: the images have {height}x{width} pixels; set it to their side, or to "
                "null for shifts in sides"
            )

    @property
    def unit(self) -> str:  # type: ignore[override]
        """Of the shifts."""
        return "of the side" if self.side is None else "px"

    def grid(self) -> Tensor:
        steps = [(0, 0, 0)]
        steps += [(step, x, y) for step in range(1, self.count + 1) for x, y in list(DIRECTIONS)[: self.directions]]
        step, x, y = torch.tensor(steps, dtype=torch.float64).unbind(1)
        return torch.stack([x, y], 1) * (step * self.shift / self.count)[:, None] + 0.0  # which makes -0 0

    def draw(self, count: int, generator: Generator) -> Tensor:
        shifts = uniform(-self.shift, self.shift, (count, 2), generator)
        if self.directions == 8:
            return shifts
        along = torch.randint(2, (count, 1), generator=generator)
        return shifts * torch.cat([along, 1 - along], 1)

    def label(self, row: Sequence[float]) -> str:
        if not any(row):
            return "0"
        x, y = ((value > 0) - (value < 0) for value in row)
        return f"{DIRECTIONS[x, y]} {max(map(abs, row)):.3g}"

    def motions(self, parameters: Tensor) -> Motions:
        linear = torch.eye(2, dtype=torch.float64).expand(len(parameters), 2, 2)
        return Motions(linear, parameters / (self.side or 1))


@options
class Shear(Angles):
    """Rows shifted so that upright lines lean to the right by an angle."""

    name: ClassVar[str] = "shear"

    degrees: Annotated[float, Gt(0), Le(170)] = 60.0
    count: Steps = 9

    def motions(self, parameters: Tensor) -> Motions:
        linear = torch.eye(2, dtype=torch.float64).repeat(len(parameters), 1, 1)
        linear[:, 0, 1] = -torch.deg2rad(parameters[:, 0]).tan()
        return _unmoved(linear)
