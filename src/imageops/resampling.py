"""Images made larger and smaller: zooms, as matrices of rows and columns, and pixels made coarse."""

import math
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor

from src.imageops.filters import along_axes, to_bytes


def zoom_crop(size: int, factor: float) -> int:
    """How many pixels in the middle of a side are all that is seen after a zoom."""
    return math.ceil(size / factor)


@lru_cache(maxsize=256)
def zoom_matrix(size: int, factor: float, device: torch.device) -> Tensor:
    """float32 (size, crop): the middle of a side, `zoom_crop` pixels, drawn out linearly to its whole length.

    First and last pixel stay first and last where the length ``round(crop * factor)`` is ``size``; what is more than
    that is cut off on both sides.
    """
    crop = zoom_crop(size, factor)
    length = round(crop * factor)
    cut = (length - size) // 2
    matrix = torch.zeros(size, crop)
    for row in range(size):
        position = (row + cut) * (crop - 1) / max(length - 1, 1)
        low = min(int(position), crop - 1)
        share = position - low
        matrix[row, low] += 1 - share
        if share:
            matrix[row, low + 1] += share
    return matrix.to(device)


@lru_cache(maxsize=32)
def _zooms(size: int, factors: tuple[float, ...], device: torch.device) -> Tensor:
    matrix = torch.zeros(len(factors), size, size)
    for number, factor in enumerate(factors):
        crop = zoom_crop(size, factor)
        begin = (size - crop) // 2
        matrix[number, :, begin : begin + crop] = zoom_matrix(size, factor, torch.device("cpu"))
    return matrix.to(device)


def zoom_mean(values: Tensor, factors: tuple[float, ...]) -> Tensor:
    """The mean of float (n, C, H, W) and of it zoomed by each factor."""
    height, width = values.shape[2:]
    rows, columns = _zooms(height, factors, values.device), _zooms(width, factors, values.device)
    out = torch.zeros_like(values)
    for row, column in zip(rows, columns, strict=True):
        out += along_axes(values, row, column)
    return out.add_(values).div_(len(factors) + 1)


def _taken(size: int, target: int) -> list[list[int]]:
    """For each new pixel the old ones of which PIL's box filter takes the mean: whole ones, by their centres."""
    scale = size / target
    half = max(scale, 1.0) / 2
    taken = []
    for centre in ((place + 0.5) * scale for place in range(target)):
        near = range(max(0, int(centre - half + 0.5)), min(size, int(centre + half + 0.5)))
        taken.append([place for place in near if -half < place - centre + 0.5 <= half])
    return taken


@lru_cache(maxsize=32)
def _boxes(size: int, target: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """int64 (most, target), the pixels of each box, `size` where it has no more; float (target, 1), 1 / how many."""
    taken = _taken(size, target)
    most = max(map(len, taken))
    places = torch.tensor([box + [size] * (most - len(box)) for box in taken]).T.contiguous()
    return places.to(device), torch.tensor([[1 / len(box)] for box in taken], device=device)


@lru_cache(maxsize=32)
def _nearest(size: int, target: int, device: torch.device) -> Tensor:
    return torch.tensor([box[0] for box in _taken(size, target)], device=device)


def box_rows(values: Tensor, target: int) -> Tensor:
    """float (n, C, H, W) -> (n, C, target, W), means of rows, rounded; by whole rows, which is copying memory."""
    places, shares = _boxes(values.shape[2], target, values.device)
    padded = F.pad(values, [0, 0, 0, 1])
    total = padded.index_select(2, places[0])
    for row in places[1:]:
        total += padded.index_select(2, row)
    return total.mul_(shares).add_(0.5).floor_()


def pixelate(values: Tensor, share: float) -> Tensor:
    """float (n, C, H, W) of whole numbers, box-filtered to `share` of its sides, and enlarged again in blocks: uint8.

    As PIL's ``resize`` with its box filter does to bytes: columns first, rounded after each axis.
    """
    height, width = values.shape[2:]
    rows, columns = int(height * share), int(width * share)
    narrow = box_rows(values.transpose(2, 3).contiguous(), columns).transpose(2, 3)
    small = to_bytes(box_rows(narrow.contiguous(), rows))
    wide = small.index_select(3, _nearest(columns, width, values.device))
    return wide.index_select(2, _nearest(rows, height, values.device))
