"""Families that change what pixels look like and not where they are; values stay within 0..1, as images of bytes do."""

from abc import abstractmethod
from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from typing import Annotated, ClassVar

import torch
from annotated_types import Ge, Gt
from torch import Generator, Tensor

from src.core.options import Seed, options
from src.core.seeds import stream
from src.imageops.threads import portions
from src.imageops.transformations.family import Factors, Family, Operator, Steps, Value, uniform


class Change(Operator):
    """Values changed, each image by its own parameters.

    Args:
        parameters: float64 (T, p).
        prepare: makes of all parameters and the images' size (C, H, W) what ``change`` needs, each (T, ...).
        change: makes of images (n, m, C, H, W), and of the m rows of what was prepared, fresh images.
    """

    def __init__(
        self,
        parameters: Tensor,
        prepare: Callable[[Tensor, torch.Size], Sequence[Tensor]],
        change: Callable[..., Tensor],
    ) -> None:
        self.parameters, self.prepare, self.change = parameters, prepare, change

    def apply(self, images: Tensor, members: Sequence[int]) -> Tensor:
        # of all members, and some picked: a vectorised function can round otherwise where there are fewer values
        prepared = self.prepare(self.parameters.to(images.device), images.shape[2:])
        prepared = [values[list(members)].to(images.dtype) for values in prepared]
        made = torch.empty(images.shape, dtype=images.dtype, device=images.device)
        for rows in portions(len(images), images.shape[1:].numel(), images.device):
            made[rows] = self.change(images[rows], *prepared).clamp_(0, 1)
        return made


@options
class Factor(Factors):
    """A change of values by a factor."""

    @staticmethod
    @abstractmethod
    def change(images: Tensor, factors: Tensor) -> Tensor:
        """Images (n, m, C, H, W), image j of each by its factor (m, 1, 1, 1)."""

    def operator(self, parameters: Tensor) -> Operator:
        return Change(parameters, lambda values, _: [values[:, :, None, None]], self.change)


@options
class Brightness(Factor):
    """All values times a factor."""

    name: ClassVar[str] = "brightness"

    @staticmethod
    def change(images: Tensor, factors: Tensor) -> Tensor:
        return images * factors


@options
class Contrast(Factor):
    """The differences from the image's mean, over all its values, times a factor."""

    name: ClassVar[str] = "contrast"

    @staticmethod
    def change(images: Tensor, factors: Tensor) -> Tensor:
        # of contiguous memory, else the order of the sum depends on the batch
        mean = images.flatten(2).contiguous().mean(2, dtype=torch.float64).to(images.dtype)[:, :, None, None, None]
        return images * factors + mean * (1 - factors)


@options
class Spread(Family):
    """Of a standard deviation from ``low`` to ``high``, in equal steps; drawn uniformly."""

    low: Annotated[float, Ge(0)] = 0.0
    high: Annotated[float, Gt(0)] = 1.0
    count: Steps = 9

    def __post_init__(self) -> None:
        if self.high < self.low:
            raise ValueError(f"{self.where}.high={self.high:g}: it is below low={self.low:g}; swap them")

    def grid(self) -> Tensor:
        return torch.linspace(self.low, self.high, self.count, dtype=torch.float64)[:, None]

    def draw(self, count: int, generator: Generator) -> Tensor:
        return uniform(self.low, self.high, (count, 1), generator)


@options
class Blur(Spread):
    """Gaussian, of a standard deviation in pixels, the image mirrored at its border."""

    name: ClassVar[str] = "blur"
    unit: ClassVar[str] = "px"
    neutral: ClassVar[tuple[float, ...]] = (0.0,)

    high: Annotated[float, Gt(0)] = 2.0

    def label(self, row: Sequence[float]) -> str:
        return f"{row[0]:.3g} px"

    def operator(self, parameters: Tensor) -> Operator:
        return Change(parameters, gaussian_matrices, blurred)


def blurred(images: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """Images (n, m, C, H, W), the columns and rows of image j by its matrices (m, H, H) and (m, W, W)."""

    def each(matrices: Tensor) -> Tensor:
        return matrices[:, None].expand(*images.shape[:3], -1, -1).reshape(-1, *matrices.shape[1:]).contiguous()

    # a product for each plane, all in the same layout: the order of a sum depends on both
    planes = images.reshape(-1, *images.shape[3:]).contiguous()
    return torch.bmm(torch.bmm(each(rows), planes), each(columns.mT)).view(images.shape)


def gaussian_matrices(sigmas: Tensor, size: torch.Size) -> list[Tensor]:
    """float64 (m, H, H) and (m, W, W): a blur along each axis for each of sigmas (m, 1), mirrored and not cut off."""
    return [_gaussian_matrices(side, sigmas) for side in size[1:]]


def _gaussian_matrices(size: int, sigmas: Tensor) -> Tensor:
    places = torch.arange(size, device=sigmas.device)
    distances = torch.arange(4 * size, dtype=torch.float64, device=sigmas.device)
    narrow = -0.5 / sigmas.clamp(min=1e-3).square()  # of next to nothing the identity remains
    weights = (narrow * distances.square()).exp()
    matrices = torch.zeros(len(sigmas), size, size, dtype=torch.float64, device=sigmas.device)
    for period in (-2 * size, 0, 2 * size):
        for mirrored in (-places, places + 1):
            matrices += weights[:, (places[:, None] + mirrored + period).abs()]
    return matrices / matrices.sum(2, keepdim=True)


STARTS = 2**20


@options
class Noise(Spread):
    """Gaussian noise of a standard deviation, in values of 0..1.

    A member of the grid adds the same pattern to all images, so that images in any order and number get the same, and
    every member has another. Patterns are windows of one long row of normal numbers; drawn ones begin anywhere.
    """

    name: ClassVar[str] = "noise"
    neutral: ClassVar[tuple[float, ...]] = (0.0, 0.0)

    high: Annotated[float, Gt(0)] = 0.2
    seed: Seed = 0

    def grid(self) -> Tensor:
        starts = torch.arange(self.count, dtype=torch.float64) * (2**16 + 1) % STARTS
        return torch.cat([super().grid(), starts[:, None]], 1)

    def draw(self, count: int, generator: Generator) -> Tensor:
        starts = torch.randint(STARTS, (count, 1), generator=generator)
        return torch.cat([super().draw(count, generator), starts], 1)

    def label(self, row: Sequence[float]) -> str:
        return f"{row[0]:.3g}"

    def value(self, row: Sequence[float]) -> Value:
        return row[0]

    def is_identity(self, row: Sequence[float]) -> bool:
        return row[0] == 0

    def operator(self, parameters: Tensor) -> Operator:
        return Change(parameters, partial(noise, seed=self.seed), torch.add)


def noise(parameters: Tensor, size: torch.Size, seed: int) -> list[Tensor]:
    """float64 (m, C, H, W): sigma times the pattern that begins at start, for each (sigma, start) of (m, 2)."""
    length = size.numel()
    windows = _normal(seed, STARTS + length, parameters.device).as_strided((STARTS, length), (1, 1))
    return [parameters[:, 0, None, None, None] * windows[parameters[:, 1].long()].view(-1, *size)]


@lru_cache(maxsize=4)
def _normal(seed: int, length: int, device: torch.device) -> Tensor:
    return torch.randn(length, generator=stream(seed, "noise")).to(device)
