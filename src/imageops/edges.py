"""Edges of grey images, distances from them, and histograms made even."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor


def canny(values: Tensor, low: float, high: float) -> Tensor:
    """Canny's edges (IEEE Trans. PAMI 8, 1986): bool (n, H, W).

    Sobel gradients, their size the sum of both absolute values; of a ridge only the crest, in four directions; crests
    above `low` that hang together with one above `high`.

    Args:
        values: float (n, H, W) of whole numbers.
    """
    height, width = values.shape[1:]
    lined = F.pad(values[:, None], [1, 1, 1, 1], mode="replicate")[:, 0]
    down = lined[:, :-2] + 2 * lined[:, 1:-1] + lined[:, 2:]  # smoothed along columns
    right = lined[:, :, :-2] + 2 * lined[:, :, 1:-1] + lined[:, :, 2:]
    x, y = down[:, :, 2:] - down[:, :, :-2], right[:, 2:] - right[:, :-2]
    size = x.abs() + y.abs()
    around = F.pad(size, [1, 1, 1, 1])

    def at(down: int, right: int) -> Tensor:
        return around[:, 1 + down : 1 + down + height, 1 + right : 1 + right + width]

    tangent = math.tan(math.pi / 8)
    flat = y.abs() < tangent * x.abs()
    steep = y.abs() > (tangent + 2) * x.abs()
    falling = (x < 0) != (y < 0)
    crest = torch.where(
        flat,
        (size > at(0, -1)) & (size >= at(0, 1)),
        torch.where(
            steep,
            (size > at(-1, 0)) & (size >= at(1, 0)),
            torch.where(
                falling,
                (size > at(-1, 1)) & (size > at(1, -1)),
                (size > at(-1, -1)) & (size > at(1, 1)),
            ),
        ),
    )
    weak = crest & (size > low)
    return _connected(weak & (size > high), weak)


def _connected(seeds: Tensor, weak: Tensor) -> Tensor:
    """What of `weak`, bool (n, H, W), hangs together with `seeds`, which are part of it, through eight neighbours."""
    while True:
        grown = seeds
        for _ in range(4):  # an accelerator is asked only now and then whether anything has changed
            grown = _neighbours(_neighbours(grown, 1), 2) & weak
        if torch.equal(grown, seeds):
            return grown
        seeds = grown


def _neighbours(marked: Tensor, axis: int) -> Tensor:
    """bool (n, H, W): what is marked, and what is next to it along an axis."""
    grown = marked.clone()
    length = marked.shape[axis] - 1
    grown.narrow(axis, 1, length).logical_or_(marked.narrow(axis, 0, length))
    grown.narrow(axis, 0, length).logical_or_(marked.narrow(axis, 1, length))
    return grown


def distance(edges: Tensor, limit: int) -> Tensor:
    """Euclidean distance from each pixel to the next edge, `limit` at most: bool (n, H, W) -> float32 (n, H, W)."""
    height, width = edges.shape[1:]
    place = torch.arange(width, device=edges.device)
    far = -2 * limit - width
    before = place - torch.where(edges, place, far).cummax(2).values
    mirrored = torch.where(edges.flip(2), place, far).cummax(2).values
    along = torch.minimum(before, (place - mirrored).flip(2)).clamp_(max=limit)
    reach = min(limit, int(along.max()), height - 1)
    square = along.float().square_()
    best = square.clone()
    for offset in range(1, reach + 1):
        best[:, offset:] = torch.minimum(best[:, offset:], square[:, :-offset] + offset**2)
        best[:, :-offset] = torch.minimum(best[:, :-offset], square[:, offset:] + offset**2)
    return best.sqrt_()


def equalised(values: Tensor, levels: int) -> Tensor:
    """Grey levels 0..levels-1 spread over 0..255 by how often they occur, each image by itself.

    Args:
        values: float (n, H, W) of whole numbers.

    Returns:
        float (n, H, W) of whole numbers; the lowest level that occurs becomes 0, an image of one level stays.
    """
    count = len(values)
    flat = values.flatten(1).long()
    counts = torch.zeros(count, levels, device=values.device)
    counts.scatter_add_(1, flat, torch.ones((), device=values.device).expand_as(flat))
    lowest = counts.gather(1, (counts > 0).int().argmax(1, keepdim=True))
    rest = flat.shape[1] - lowest
    spread = ((counts.cumsum(1) - lowest).clamp_(min=0) * (255 / rest.clamp(min=1))).round_()
    table = torch.where(rest > 0, spread, torch.arange(levels, device=values.device).float())
    return table.gather(1, flat).view_as(values)
