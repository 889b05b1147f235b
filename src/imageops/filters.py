"""Linear operations along rows and columns, as products with one small matrix per axis.

A filter of one axis, its border included, is a matrix of the side's length, and so are a zoom and a resampling. A
product with it is faster than a convolution of few channels, on processors and accelerators, up to sides of hundreds.
"""

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Literal

import numpy as np
import torch
from torch import Tensor


def along_axes(values: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """float (..., H, W) -> (..., H', W'), ``rows @ value @ columns.T`` of each.

    Args:
        rows: (H', H), what becomes of a column of values.
        columns: (W', W), what becomes of a row of values.
    """
    if rows.shape[0] < rows.shape[1]:
        return (rows @ values) @ columns.T
    return rows @ (values @ columns.T)


#: what lies beyond the border, aaa|abc, cba|abc or cb|abc, as numpy calls it
BORDERS: dict[str, Literal["edge", "symmetric", "reflect"]] = {
    "nearest": "edge",
    "symmetric": "symmetric",
    "mirror": "reflect",
}


def filter_matrix(size: int, weights: Sequence[float], border: str) -> Tensor:
    """float32 (size, size): weights (2 r + 1) centred on each position; what lies beyond the border is folded back."""
    folded = np.pad(np.arange(size), len(weights) // 2, mode=BORDERS[border]).tolist()
    matrix = [[0.0] * size for _ in range(size)]
    for row, line in enumerate(matrix):
        for place, weight in zip(folded[row:], weights, strict=False):
            line[place] += weight
    return torch.tensor(matrix, dtype=torch.float32)


def gaussian_weights(sigma: float, reach: int) -> list[float]:
    """Samples of a Gaussian at -reach..reach that sum to 1."""
    weights = [math.exp(-0.5 * (offset / sigma) ** 2) for offset in range(-reach, reach + 1)]
    total = sum(weights)
    return [weight / total for weight in weights]


@lru_cache(maxsize=64)
def gaussian_matrix(size: int, sigma: float, border: str, truncate: float, device: torch.device) -> Tensor | None:
    """The filter of a Gaussian cut off at ``truncate`` sigmas; None where that is less than half a pixel."""
    reach = int(truncate * sigma + 0.5)
    return filter_matrix(size, gaussian_weights(sigma, reach), border).to(device) if reach else None


def gaussian(values: Tensor, sigma: float, *, border: str = "nearest", truncate: float = 4.0) -> Tensor:
    """Gaussian blur of float (..., H, W), sigma in pixels; the values themselves where sigma is next to nothing."""
    height, width = values.shape[-2:]
    rows = gaussian_matrix(height, sigma, border, truncate, values.device)
    columns = gaussian_matrix(width, sigma, border, truncate, values.device)
    return values if rows is None or columns is None else along_axes(values, rows, columns)


@lru_cache(maxsize=16)
def box_matrix(size: int, reach: int, device: torch.device) -> Tensor:
    """The mean over 2 reach + 1 neighbours, mirrored at the border."""
    return filter_matrix(size, [1 / (2 * reach + 1)] * (2 * reach + 1), "mirror").to(device)


def to_bytes(values: Tensor) -> Tensor:
    """float of any shape -> uint8, cut to 0..255 (in place), fractions cut off."""
    return values.clamp_(0, 255).to(torch.int16).to(torch.uint8)  # by way of int16 it takes a quarter of the time
