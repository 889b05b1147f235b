"""A weak network and its patches as one network, and as a subject that is saved and loaded as any other.

CNNSplitter, Qi et al., ASE 2022.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from src.core.errors import UserError
from src.methods.modularity.patching import Range, Score, compose, module_score
from src.networks.models.registry import build
from src.networks.subjects import PATCHED, Subject, rebuild, register_assembly
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
    def of(cls, target: int, column: int, network: nn.Module, calibration: Calibrated, score: Score) -> "Patch":
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

    slopes: Tensor
    intercepts: Tensor
    temperature: Tensor
    scale: Tensor
    shift: Tensor

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
        for name, numbers in (
            ("slopes", [patch.slope for patch in patches]),
            ("intercepts", [patch.intercept for patch in patches]),
        ):
            self.register_buffer(name, torch.tensor(numbers, dtype=torch.float64))
        for name, per_channel in (("scale", scale), ("shift", shift)):
            self.register_buffer(name, torch.tensor(per_channel, dtype=torch.float32).view(1, -1, 1, 1))
        self.register_buffer("temperature", torch.tensor(temperature, dtype=torch.float64))

    def forward(self, images: Tensor) -> Tensor:
        moved = images * self.scale + self.shift
        scores: dict[int, Tensor] = {}
        for index, network in enumerate(self.modules_by_target):
            answer = module_score(network(moved), self.columns[index], self.score[index]).double()
            score = answer * self.slopes[index] + self.intercepts[index]
            scores[self.targets[index]] = torch.sigmoid(score) if self.sigmoid[index] else score
        return compose((self.weak(images).double() / self.temperature).softmax(1), scores).clamp_min(FLOOR).log()


def patched_subject(weak: Subject, modules: Sequence[Subject], patches: Sequence[Patch], temperature: float) -> Subject:
    """The weak subject, its logits divided by ``temperature``, with the module subjects' networks as patches."""
    first = modules[0]
    for module in modules:
        if module.contrast != weak.contrast:
            raise UserError(
                f"data.contrast={weak.contrast} of the weak network, {module.contrast} of a module: a patched network "
                "hands both the same images; train them with the same contrast"
            )
    scale = [std / of_modules for std, of_modules in zip(weak.std, first.std, strict=True)]
    shift = [(a - b) / s for a, b, s in zip(weak.mean, first.mean, first.std, strict=True)]
    parts = [
        {"target": patch.target, "column": patch.column, "sigmoid": patch.sigmoid, "score": patch.score,
         "architecture": module.architecture,
         "kept": module.kept}
        for patch, module in zip(patches, modules, strict=True)
    ]  # fmt: skip
    architecture = {
        "name": PATCHED,
        "classes": len(weak.classes),
        "input_shape": list(weak.input_shape),
        "weak": weak.architecture,
        "patches": parts,
    }
    lineage = tuple(dict.fromkeys(digest for part in (weak, *modules) for digest in part.lineage))
    network = PatchedNetwork(weak.model, patches, scale, shift, temperature).eval()
    return Subject(network, architecture, weak.classes, weak.mean, weak.std, None, lineage, contrast=weak.contrast)


def _rebuild_patched(architecture: Mapping[str, Any]) -> nn.Module:
    patches = [
        Patch(part["target"], part["column"], rebuild(part["architecture"], part["kept"]), 1.0, 0.0, part["sigmoid"],
              part["score"])
        for part in architecture["patches"]
    ]  # fmt: skip
    none = [0.0] * architecture["input_shape"][0]  # scale and shift come with the weights
    return PatchedNetwork(build(architecture["weak"]), patches, none, none)


register_assembly(PATCHED, _rebuild_patched)
