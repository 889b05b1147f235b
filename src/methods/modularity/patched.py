"""A weak network and its patches as one network (CNNSplitter, Qi et al., ASE 2022)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from src.methods.modularity.patching import Range, Score, compose, module_score
from src.statistics.calibration import Platt

Calibrated = Platt | Range
FLOOR = 1e-12  # below it a composed score is as good as none; keeps the logarithm finite


class Patch(NamedTuple):
    """A module for one class of the weak network.

    ``network`` answers for class ``target`` of the weak network with the ``score`` of its output ``column``, as
    ``slope * score + intercept``, through a sigmoid where ``sigmoid`` holds (Platt), else as it is (paper's ranges).
    """

    target: int
    column: int
    network: nn.Module
    slope: float
    intercept: float
    sigmoid: bool
    score: Score

    @classmethod
    def of(cls, target: int, column: int, network: nn.Module, calibration: Calibrated, score: Score) -> Patch:
        """The patch of a module whose logits were calibrated by ``fit_calibration``."""
        if isinstance(calibration, Platt):
            return cls(target, column, network, calibration.slope, calibration.intercept, True, score)
        width = (calibration.high - calibration.low) or 1.0
        return cls(target, column, network, 1 / width, -calibration.low / width, False, score)


class PatchedNetwork(nn.Module):
    """Takes images (n, C, H, W) normalised for the weak network, gives logarithms of the composed scores (n, N).

    Args:
        weak: logits (n, N).
        patches: one per patched class.
        scale, shift: per channel; ``images * scale + shift`` is normalised for the modules.
        temperature: that divides the weak network's logits.
    """

    def __init__(
        self,
        weak: nn.Module,
        patches: Sequence[Patch],
        scale: Sequence[float],
        shift: Sequence[float],
        temperature: float = 1.0,
    ) -> None:
        super().__init__()
        self.weak = weak
        self.targets = [patch.target for patch in patches]
        self.columns = [patch.column for patch in patches]
        self.score = [patch.score for patch in patches]
        self.sigmoid = [patch.sigmoid for patch in patches]
        self.modules_by_target = nn.ModuleList(patch.network for patch in patches)
        self.slopes: Tensor
        self.intercepts: Tensor
        self.scale: Tensor
        self.shift: Tensor
        self.temperature: Tensor
        self.register_buffer("slopes", torch.tensor([patch.slope for patch in patches], dtype=torch.float64))
        self.register_buffer("intercepts", torch.tensor([patch.intercept for patch in patches], dtype=torch.float64))
        self.register_buffer("scale", torch.tensor(scale, dtype=torch.float32).view(1, -1, 1, 1))
        self.register_buffer("shift", torch.tensor(shift, dtype=torch.float32).view(1, -1, 1, 1))

        self.register_buffer("temperature", torch.tensor(temperature, dtype=torch.float64))

    def forward(self, images: Tensor) -> Tensor:
        moved = images * self.scale + self.shift
        scores: dict[int, Tensor] = {}
        for index, network in enumerate(self.modules_by_target):
            answer = module_score(network(moved), self.columns[index], self.score[index]).double()
            score = answer * self.slopes[index] + self.intercepts[index]
            scores[self.targets[index]] = torch.sigmoid(score) if self.sigmoid[index] else score
        return compose((self.weak(images).double() / self.temperature).softmax(1), scores).clamp_min(FLOOR).log()
