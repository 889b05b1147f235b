"""From the activations of a batch to units: single positions of a map, or one number per map."""

from __future__ import annotations

from typing import Literal, get_args

import torch
from torch import Tensor

from src.core.errors import UserError, suggestion
from src.networks.activations import Layer

Before = Literal["none", "sum", "mean", "max"]
"""How a map becomes units, before any statistics: every position is one, or its sum, mean or greatest value is."""
After = Literal["none", "mean"]
"""What happens to the statistics of the positions of a map before they are divided: nothing, or their mean."""


def check_aggregation(before: str, after: str) -> None:
    """UserError where a choice is unknown, or `after` has nothing left to average."""
    for name, value, allowed in (("before", before, get_args(Before)), ("after", after, get_args(After))):
        if value not in allowed:
            raise UserError(f"{name}={value}: {suggestion(str(value), allowed)}")
    if before != "none" and after != "none":
        raise UserError(f"after={after}: with before={before} a map is one unit already; set one to none")


def unit_shape(layer: Layer, before: Before) -> tuple[int, ...]:
    """Of the units of one image, in the order of :func:`in_layout`."""
    return layer.shape[:1] if before != "none" and layer.is_map else layer.shape


def units_of(map_: Tensor, layer: Layer, before: Before, rows: tuple[int, int]) -> Tensor:
    """(images * T, ...) -> (images, T, units), in the order of memory, without a copy where there is a choice.

    Args:
        map_: the layer's activation of a batch.
        layer: says in which order its values lie.
        before: what becomes of a map (K, h, w).
        rows: images and T.
    """
    if map_.ndim == 4 and before != "none":
        if before == "max":
            return map_.amax((2, 3)).view(*rows, -1)
        return (map_.sum((2, 3)) if before == "sum" else map_.mean((2, 3))).view(*rows, -1)
    if layer.channels_last:
        map_ = map_.permute(0, 2, 3, 1)
    return map_.reshape(*rows, -1)


def in_layout(values: Tensor, layer: Layer, before: Before) -> Tensor:
    """(..., units) in the order of memory -> (..., *unit_shape)."""
    shape = unit_shape(layer, before)
    if layer.channels_last and len(shape) == 3:
        channels, height, width = shape
        return values.unflatten(-1, (height, width, channels)).movedim(-1, -3)
    return values.unflatten(-1, shape)


def averaged(values: Tensor, layer: Layer, before: Before, after: After) -> Tensor:
    """(..., *unit_shape) -> (..., K) where maps are averaged after the statistics, else as it is."""
    if after == "mean" and before == "none" and layer.is_map:
        return torch.mean(values, (-2, -1))
    return values
