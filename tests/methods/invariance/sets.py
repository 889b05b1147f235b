"""Small sets of transformations and networks whose answers are known."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

Members = slice | Sequence[int]


class Rotations:
    """The four rotations by right angles, or any functions of images."""

    def __init__(self, makers: Sequence[Callable[[Tensor], Tensor]] | None = None) -> None:
        self.makers = makers
        self.names = tuple(map(str, range(4 if makers is None else len(makers))))
        self.identity: int | None = 0

    def __len__(self) -> int:
        return len(self.names)

    def __call__(self, images: Tensor, members: Members = slice(None)) -> Tensor:
        if self.makers is not None:
            chosen = self.makers[members] if isinstance(members, slice) else [self.makers[k] for k in members]
            return torch.stack([make(images) for make in chosen], 1)
        return torch.stack([images.rot90(k, (2, 3)) for k in self._numbers(members)], 1)

    def undo(self, maps: Tensor, members: Members = slice(None)) -> Tensor:
        turned = [maps[:, row].rot90(-k, (2, 3)) for row, k in enumerate(self._numbers(members))]
        return torch.stack(turned, 1)

    def valid(self, height: int, width: int) -> Tensor:
        return torch.ones(height, width, dtype=torch.bool)

    def _numbers(self, members: Members) -> Sequence[int]:
        return range(len(self))[members] if isinstance(members, slice) else members


def network(seed: int = 0) -> nn.Sequential:
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(inplace=True), nn.MaxPool2d(2),
        nn.Conv2d(4, 6, 3, padding=1), nn.ReLU(inplace=True), nn.Flatten(), nn.Linear(6 * 16, 5),
    )  # fmt: skip


def photos(count: int = 12, seed: int = 0, size: int = 8) -> Tensor:
    """uint8 (count, 3, size, size)."""
    return torch.randint(
        0, 256, (count, 3, size, size), dtype=torch.uint8, generator=torch.Generator().manual_seed(seed)
    )
