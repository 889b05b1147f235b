"""Two dozen shapes as signed distance functions, each evaluated for a whole batch of pixel grids at once.

A shape is a function of ``x``, ``y`` (any equal shapes, the shape's own frame, y upwards, everything within radius 1)
that returns the distance to the outline, negative inside. Distances are exact near the outline only, which is where
anti-aliasing needs them.
"""

import math
from collections.abc import Callable
from functools import reduce

import torch
from torch import Tensor

Shape = Callable[[Tensor, Tensor], Tensor]


def _circle(cx: float, cy: float, radius: float) -> Shape:
    return lambda x, y: torch.hypot(x - cx, y - cy) - radius


def _box(cx: float, cy: float, half_width: float, half_height: float) -> Shape:
    return lambda x, y: torch.maximum((x - cx).abs() - half_width, (y - cy).abs() - half_height)


def _segment(start: tuple[float, float], end: tuple[float, float], radius: float) -> Shape:
    dx, dy = end[0] - start[0], end[1] - start[1]

    def distance(x: Tensor, y: Tensor) -> Tensor:
        along = (((x - start[0]) * dx + (y - start[1]) * dy) / (dx * dx + dy * dy)).clamp(0, 1)
        return torch.hypot(x - start[0] - along * dx, y - start[1] - along * dy) - radius

    return distance


def _convex(*corners: tuple[float, float]) -> Shape:
    """Polygon with corners in counter-clockwise order: the largest distance to one of its edges' lines."""

    def distance(x: Tensor, y: Tensor) -> Tensor:
        largest = torch.full_like(x, -math.inf)
        for (ax, ay), (bx, by) in zip(corners, corners[1:] + corners[:1], strict=True):
            length = math.hypot(bx - ax, by - ay)
            nx, ny = (by - ay) / length, (ax - bx) / length
            largest = torch.maximum(largest, x * nx + y * ny - (ax * nx + ay * ny))
        return largest

    return distance


def _regular(corners: int, radius: float) -> Shape:
    angles = [math.pi / 2 + 2 * math.pi * k / corners for k in range(corners)]
    return _convex(*((radius * math.cos(angle), radius * math.sin(angle)) for angle in angles))


def _star(points: int, outer: float, inner: float) -> Shape:
    half = math.pi / points
    bx, by = inner * math.cos(half), inner * math.sin(half)
    length = math.hypot(outer - bx, by)
    nx, ny = by / length, (outer - bx) / length

    def distance(x: Tensor, y: Tensor) -> Tensor:
        # fold the plane into half of one spike; the outline there is one straight line
        radius, angle = torch.hypot(x, y), torch.atan2(x, y)
        angle = (torch.remainder(angle + half, 2 * half) - half).abs()
        return radius * angle.cos() * nx + radius * angle.sin() * ny - outer * nx

    return distance


def _ellipse(x: Tensor, y: Tensor) -> Tensor:
    scaled = torch.hypot(x / 0.98, y / 0.54)
    slope = torch.hypot(x / 0.98**2, y / 0.54**2).clamp_min(1e-3)
    return scaled * (scaled - 1) / slope


def _union(*shapes: Shape) -> Shape:
    return lambda x, y: reduce(torch.minimum, (shape(x, y) for shape in shapes))


def _without(shape: Shape, hole: Shape) -> Shape:
    return lambda x, y: torch.maximum(shape(x, y), -hole(x, y))


_chevron = _segment((0.0, 0.32), (0.78, -0.2), 0.2)  # its right half

FAMILIES: dict[str, dict[str, Shape]] = {
    "round": {
        "disc": _circle(0, 0, 0.85),
        "ring": lambda x, y: (torch.hypot(x, y) - 0.68).abs() - 0.2,
        "ellipse": _ellipse,
        "crescent": _without(_circle(0, 0, 0.95), _circle(0.48, 0, 0.72)),
    },
    "polygon": {
        "triangle": _regular(3, 1.0),
        "square": _regular(4, 1.0),
        "pentagon": _regular(5, 0.95),
        "hexagon": _regular(6, 0.95),
    },
    "star": {
        "star5": _star(5, 1.0, 0.42),
        "star4": _star(4, 1.0, 0.36),
        "star6": _star(6, 1.0, 0.5),
        "burst": _star(9, 1.0, 0.66),
    },
    "stroke": {
        "bar": _box(0, 0, 0.96, 0.26),
        "cross": _union(_box(0, 0, 0.95, 0.25), _box(0, 0, 0.25, 0.95)),
        "tee": _union(_box(0, 0.5, 0.72, 0.22), _box(0, -0.13, 0.22, 0.83)),
        "ell": _union(_box(-0.26, 0, 0.2, 0.9), _box(0, -0.7, 0.46, 0.2)),
    },
    "emblem": {
        "arrow": _union(_convex((0.98, 0.0), (0.1, 0.72), (0.1, -0.72)), _box(-0.4, 0, 0.56, 0.2)),
        "heart": _union(
            _convex((0.0, -0.92), (0.74, -0.04), (0.0, 0.58), (-0.74, -0.04)),
            _circle(-0.4, 0.3, 0.47),
            _circle(0.4, 0.3, 0.47),
        ),
        "half_disc": _without(_circle(0, -0.4, 0.93), lambda x, y: y + 0.4),
        "drop": _union(_convex((0.0, 1.0), (-0.47, -0.05), (0.47, -0.05)), _circle(0, -0.34, 0.56)),
    },
    "group": {
        "two_dots": _union(_circle(-0.56, 0, 0.4), _circle(0.56, 0, 0.4)),
        "three_dots": _union(_circle(-0.53, -0.33, 0.36), _circle(0.53, -0.33, 0.36), _circle(0, 0.6, 0.36)),
        "double_bar": _union(_box(0, 0.4, 0.8, 0.2), _box(0, -0.4, 0.8, 0.2)),
        "chevron": lambda x, y: _chevron(x.abs(), y),
    },
}
"""Family -> shape name -> distance function."""

# one member of each family in turn: any ten neighbouring classes then mix the families, and near relatives
# (square and pentagon, bar and double bar) fall on both sides of a cut between 0..9 and 10..19
_turns = zip(*(members.items() for members in FAMILIES.values()), strict=True)
SHAPES: dict[str, Shape] = {name: shape for turn in _turns for name, shape in turn}
"""Shape name -> distance function, in class order."""

FAMILY_OF: dict[str, str] = {name: family for family, members in FAMILIES.items() for name in members}
"""Shape name -> family."""
