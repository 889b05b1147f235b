"""What a family of transformations is: parameters to choose or draw, and what they do to images."""

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Annotated, ClassVar

import torch
from annotated_types import Ge, Gt, Le
from torch import Generator, Tensor

from src.core.options import Count, options

Value = float | tuple[object, ...]
Steps = Annotated[int, Ge(2)]


class Operator(ABC):
    """Transformations with their parameters, ready for images of any size; what moves no pixel undoes nothing."""

    @abstractmethod
    def apply(self, images: Tensor, members: Sequence[int]) -> Tensor:
        """float (n, m, C, H, W) of 0..1 -> the same shape: ``images[:, j]`` through transformation ``members[j]``."""

    def undo(self, maps: Tensor, members: Sequence[int]) -> Tensor:
        """float (n, m, K, h, w) -> the same shape: ``maps[:, j]`` through the inverse of ``members[j]``."""
        return maps

    def content(self, shares: Tensor, members: Sequence[int], back: bool) -> Tensor:
        """How much of each value comes from within the image, moved there or ``back``.

        Args:
            shares: float (n, m, K, h, w), how much of each did before.
        """
        return shares


@options
class Family(ABC):
    """A kind of transformation; its fields are the keys of its description, parameters are rows of a tensor."""

    name: ClassVar[str]
    unit: ClassVar[str] = ""
    neutral: ClassVar[tuple[float, ...]]  # the parameters of the identity
    where: str = "transformation"  # what messages call the description

    @property
    def title(self) -> str:
        """The family in words."""
        return self.name

    def check_size(self, height: int, width: int) -> None:
        """UserError where images of this size cannot be transformed."""
        return

    @abstractmethod
    def grid(self) -> Tensor:
        """float64 (T, p), the parameters of the grid's members."""

    @abstractmethod
    def draw(self, count: int, generator: Generator) -> Tensor:
        """float64 (count, p) on the CPU, random parameters within the family's range."""

    @abstractmethod
    def label(self, row: Sequence[float]) -> str:
        """The name of the member with these parameters."""

    @abstractmethod
    def operator(self, parameters: Tensor) -> Operator:
        """The transformations with parameters (m, p)."""

    def value(self, row: Sequence[float]) -> Value:
        """The parameters as a reader sees them."""
        return row[0] if len(row) == 1 else tuple(row)

    def is_identity(self, row: Sequence[float]) -> bool:
        """Whether these parameters change nothing."""
        return tuple(row) == self.neutral


@options
class Factors(Family):
    """By factors from ``low`` to ``high``, 1 among them, geometric on either side of it; drawn so too."""

    unit: ClassVar[str] = "×"
    neutral: ClassVar[tuple[float, ...]] = (1.0,)

    low: Annotated[float, Gt(0), Le(1)] = 0.5
    high: Annotated[float, Ge(1)] = 2.0
    count: Count = 9

    def __post_init__(self) -> None:
        if self.low == self.high:
            raise ValueError(f"{self.where}.high=1: low and high are both 1; set one of them further out")
        least = 1 + (self.low < 1) + (self.high > 1)
        if self.count < least:
            raise ValueError(f"{self.where}.count={self.count}: allowed is a whole number from {least}")

    def grid(self) -> Tensor:
        # evenly where 1 is one anyway
        below = round((self.count - 1) * math.log(1 / self.low) / math.log(self.high / self.low))
        below = min(max(below, int(self.low < 1)), self.count - 1 - int(self.high > 1))
        above = self.count - 1 - below
        smaller = [self.low ** (step / below) for step in range(below, 0, -1)]
        larger = [self.high ** (step / above) if step else 1.0 for step in range(above + 1)]
        return torch.tensor(smaller + larger, dtype=torch.float64)[:, None]

    def draw(self, count: int, generator: Generator) -> Tensor:
        return uniform(math.log(self.low), math.log(self.high), (count, 1), generator).exp()

    def label(self, row: Sequence[float]) -> str:
        return f"×{row[0]:.3g}"


def uniform(low: float, high: float, shape: tuple[int, ...], generator: Generator) -> Tensor:
    """float64 numbers from U[low, high), drawn on the CPU."""
    return torch.rand(shape, dtype=torch.float64, generator=generator) * (high - low) + low
