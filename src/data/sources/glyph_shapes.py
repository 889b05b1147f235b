"""Two dozen shapes as signed distance functions, each evaluated for a whole batch of pixel grids at once.

A shape is a function of ``x``, ``y`` (any equal shapes, the shape's own frame, y upwards, everything within radius 1)
that returns the distance to the outline, negative inside. Distances are exact near the outline only, which is where
anti-aliasing needs them.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

Shape = Callable[[Tensor, Tensor], Tensor]


def _circle(x: Tensor, y: Tensor, cx: float, cy: float, radius: float) -> Tensor:
    return torch.hypot(x - cx, y - cy) - radius


def _box(x: Tensor, y: Tensor, cx: float, cy: float, half_width: float, half_height: float) -> Tensor:
    return torch.maximum((x - cx).abs() - half_width, (y - cy).abs() - half_height)


def _segment(x: Tensor, y: Tensor, start: tuple[float, float], end: tuple[float, float], radius: float) -> Tensor:
    dx, dy = end[0] - start[0], end[1] - start[1]
    along = (((x - start[0]) * dx + (y - start[1]) * dy) / (dx * dx + dy * dy)).clamp(0, 1)
    return torch.hypot(x - start[0] - along * dx, y - start[1] - along * dy) - radius


def _convex(x: Tensor, y: Tensor, corners: list[tuple[float, float]]) -> Tensor:
    """Polygon with corners in counter-clockwise order: the largest distance to one of its edges' lines."""
    distance = torch.full_like(x, -math.inf)
    for (ax, ay), (bx, by) in zip(corners, corners[1:] + corners[:1], strict=True):
        length = math.hypot(bx - ax, by - ay)
        nx, ny = (by - ay) / length, (ax - bx) / length
        distance = torch.maximum(distance, x * nx + y * ny - (ax * nx + ay * ny))
    return distance


def _regular(corners: int, radius: float) -> Shape:
    angles = [math.pi / 2 + 2 * math.pi * k / corners for k in range(corners)]
    points = [(radius * math.cos(angle), radius * math.sin(angle)) for angle in angles]
    return lambda x, y: _convex(x, y, points)


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


def _ring(x: Tensor, y: Tensor) -> Tensor:
    return (torch.hypot(x, y) - 0.68).abs() - 0.2


def _ellipse(x: Tensor, y: Tensor) -> Tensor:
    scaled = torch.hypot(x / 0.98, y / 0.54)
    slope = torch.hypot(x / 0.98**2, y / 0.54**2).clamp_min(1e-3)
    return scaled * (scaled - 1) / slope


def _crescent(x: Tensor, y: Tensor) -> Tensor:
    return torch.maximum(_circle(x, y, 0, 0, 0.95), -_circle(x, y, 0.48, 0, 0.72))


def _cross(x: Tensor, y: Tensor) -> Tensor:
    return torch.minimum(_box(x, y, 0, 0, 0.95, 0.25), _box(x, y, 0, 0, 0.25, 0.95))


def _tee(x: Tensor, y: Tensor) -> Tensor:
    return torch.minimum(_box(x, y, 0, 0.5, 0.72, 0.22), _box(x, y, 0, -0.13, 0.22, 0.83))


def _ell(x: Tensor, y: Tensor) -> Tensor:
    return torch.minimum(_box(x, y, -0.26, 0, 0.2, 0.9), _box(x, y, 0, -0.7, 0.46, 0.2))


def _arrow(x: Tensor, y: Tensor) -> Tensor:
    head = _convex(x, y, [(0.98, 0.0), (0.1, 0.72), (0.1, -0.72)])
    return torch.minimum(head, _box(x, y, -0.4, 0, 0.56, 0.2))


def _heart(x: Tensor, y: Tensor) -> Tensor:
    tip = _convex(x, y, [(0.0, -0.92), (0.74, -0.04), (0.0, 0.58), (-0.74, -0.04)])
    lobes = torch.minimum(_circle(x, y, -0.4, 0.3, 0.47), _circle(x, y, 0.4, 0.3, 0.47))
    return torch.minimum(tip, lobes)


def _drop(x: Tensor, y: Tensor) -> Tensor:
    tip = _convex(x, y, [(0.0, 1.0), (-0.47, -0.05), (0.47, -0.05)])
    return torch.minimum(tip, _circle(x, y, 0, -0.34, 0.56))


def _half_disc(x: Tensor, y: Tensor) -> Tensor:
    return torch.maximum(_circle(x, y, 0, -0.4, 0.93), -0.4 - y)


def _two_dots(x: Tensor, y: Tensor) -> Tensor:
    return torch.minimum(_circle(x, y, -0.56, 0, 0.4), _circle(x, y, 0.56, 0, 0.4))


def _three_dots(x: Tensor, y: Tensor) -> Tensor:
    pair = torch.minimum(_circle(x, y, -0.53, -0.33, 0.36), _circle(x, y, 0.53, -0.33, 0.36))
    return torch.minimum(pair, _circle(x, y, 0, 0.6, 0.36))


def _double_bar(x: Tensor, y: Tensor) -> Tensor:
    return torch.minimum(_box(x, y, 0, 0.4, 0.8, 0.2), _box(x, y, 0, -0.4, 0.8, 0.2))


def _chevron(x: Tensor, y: Tensor) -> Tensor:
    return _segment(x.abs(), y, (0.0, 0.32), (0.78, -0.2), 0.2)


FAMILIES: dict[str, dict[str, Shape]] = {
    "round": {
        "disc": lambda x, y: _circle(x, y, 0, 0, 0.85),
        "ring": _ring,
        "ellipse": _ellipse,
        "crescent": _crescent,
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
        "bar": lambda x, y: _box(x, y, 0, 0, 0.96, 0.26),
        "cross": _cross,
        "tee": _tee,
        "ell": _ell,
    },
    "emblem": {
        "arrow": _arrow,
        "heart": _heart,
        "half_disc": _half_disc,
        "drop": _drop,
    },
    "group": {
        "two_dots": _two_dots,
        "three_dots": _three_dots,
        "double_bar": _double_bar,
        "chevron": _chevron,
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
