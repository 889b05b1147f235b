"""Every family once, with few members, and the affine maps of the geometric ones written down by hand."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor

from src.imageops.transformations import RandomTransformation

ANGLES = {"family": "rotation", "degrees": 140, "count": 5}
SHIFTS = {"family": "translation", "shift": 0.2, "count": 1}
SHEARS = {"family": "shear", "degrees": 60, "count": 5}
SCALES = {"family": "scale", "low": 0.7, "high": 1.5, "count": 4}

GEOMETRIC: list[dict[str, Any]] = [ANGLES, SHIFTS, SHEARS, SCALES, {"family": "flips"}]
APPEARANCE: list[dict[str, Any]] = [
    {"family": name, "count": 4} for name in ("brightness", "contrast", "blur", "noise")
]
COMPOSED: dict[str, Any] = {
    "family": "composition",
    "parts": [{"family": "rotation", "degrees": 100, "count": 3}, SHIFTS | {"directions": 4}, SCALES],
}
MIXED: dict[str, Any] = {
    "family": "composition",
    "parts": [{"family": "flips"}, {"family": "brightness", "count": 3}, {"family": "blur", "count": 2}, SCALES],
}
EVERY = [*GEOMETRIC, *APPEARANCE, COMPOSED, MIXED]


def title(options: Any) -> str:
    """Of a test."""
    return "mixed" if options is MIXED else str(options["family"])


def random_images(count: int = 4, height: int = 19, width: int = 26, channels: int = 3) -> Tensor:
    """float64 of 0..1."""
    generator = torch.Generator().manual_seed(0)
    return torch.rand(count, channels, height, width, dtype=torch.float64, generator=generator)


def drawn(options: Any, images: Tensor, generator: torch.Generator) -> Tensor:
    """Each of uint8 images (n, C, H, W) through its own random member."""
    random = RandomTransformation(options)
    return random.apply(images, random.draw(len(images), generator))


def matrix(family: str, value: Any, height: int, width: int) -> np.ndarray:
    """(3, 3): where a member moves (x, y, 1), in pixels about the middle, y down."""
    if family == "rotation":  # counterclockwise as one sees it
        cosine, sine = math.cos(math.radians(value)), math.sin(math.radians(value))
        return np.array([[cosine, sine, 0], [-sine, cosine, 0], [0, 0, 1]])
    if family == "translation":
        return np.array([[1, 0, value[0] * width], [0, 1, value[1] * height], [0, 0, 1]])
    if family == "scale":
        return np.diag([value, value, 1.0])
    if family == "flips":
        return np.diag([*value, 1.0])
    assert family == "shear"
    return np.array([[1, -math.tan(math.radians(value)), 0], [0, 1, 0], [0, 0, 1]])
