"""Examinations of networks whose only layer has the activations that a test wants."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from src.methods.invariance.passes import Examination, Setup
from tests.methods.invariance.sets import Rotations


class FirstRow(nn.Module):
    """The first channel's only row, as it is."""

    def __init__(self, units: int) -> None:
        super().__init__()
        self.out = nn.Linear(units, units, bias=False)
        with torch.no_grad():
            self.out.weight.copy_(torch.eye(units))

    def forward(self, images: Tensor) -> Tensor:
        found: Tensor = self.out(images[:, 0, 0])
        return found


def examined(activations: Tensor, *, identity: int | None = 0, **setup: Any) -> Examination:
    """Of activations (S, T, m): images have them all, and transformation t brings channel t to the front."""
    images = activations[:, :, None]
    moves = Rotations([partial(torch.roll, shifts=-k, dims=1) for k in range(activations.shape[1])])
    moves.identity = identity
    return Examination(FirstRow(activations.shape[2]), images, moves,
                       setup=Setup(**{"dtype": torch.float64, **setup}))  # fmt: skip
