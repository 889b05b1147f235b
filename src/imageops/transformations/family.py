"""What a family of transformations is: parameters to choose or draw, and what they do to images."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from torch import Generator, Tensor

Value = float | tuple[object, ...]


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


@dataclass(frozen=True)
class Family(ABC):
    """A kind of transformation; its fields are the keys of its description, parameters are rows of a tensor."""

    name: ClassVar[str]
    unit: ClassVar[str] = ""
    neutral: ClassVar[tuple[float, ...]]  # the parameters of the identity
    where: str = field(default="transformation", kw_only=True, repr=False)  # what messages call the description

    @property
    def title(self) -> str:
        """The family in words."""
        return self.name

    @abstractmethod
    def check(self) -> None:
        """UserError where a value is not allowed."""

    def check_size(self, height: int, width: int) -> None:
        """UserError where images of this size cannot be transformed."""
        return

    @abstractmethod
    def grid(self) -> Tensor:
        """float64 (T, p), the parameters of the grid's members."""

    @abstractmethod
    def draw(self, count: int, generator: Generator) -> Tensor:
        """float64 (count, p), random parameters within the family's range."""

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
