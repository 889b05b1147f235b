"""Edges of grey images by three detectors, outlines of masks, distances from them, and histograms made even.

Images are batches (n, H, W), and so are edges: (row, column) in the frame of the images that were given.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from src.imageops.filters import gaussian


def canny(values: Tensor, low: float | Tensor, high: float | Tensor) -> Tensor:
    """Canny's edges (IEEE Trans. PAMI 8, 1986): bool (n, H, W).

    Sobel gradients, their size the sum of both absolute values; of a ridge only the crest, in four directions; crests
    above `low` that hang together with one above `high`.

    Args:
        values: float (n, H, W) of whole numbers.
        low, high: one for all images, or (n,) of each.
    """
    height, width = values.shape[1:]
    low, high = (torch.as_tensor(limit, device=values.device).view(-1, 1, 1) for limit in (low, high))
    x, y = _slopes(values)
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


def auto_thresholds(values: Tensor, sigma: float) -> tuple[Tensor, Tensor]:
    """Canny's thresholds by the median m of each image: (1 - sigma) m and (1 + sigma) m, whole numbers of 0..255.

    Args:
        values: float (n, H, W) of 0..255.

    Returns:
        Low and high, float64 (n,).
    """
    flat = values.flatten(1)
    middle = flat.shape[1] + 1
    lower, upper = (flat.kthvalue(rank, 1).values.double() for rank in (middle // 2, (middle + 1) // 2))
    median = (lower + upper) / 2
    return ((1 - sigma) * median).clamp(min=0).trunc(), ((1 + sigma) * median).clamp(max=255).trunc()


def steepest(values: Tensor, quantile: float) -> Tensor:
    """The pixels whose gradient by Sobel's operator is larger than this quantile of the image's: bool (n, H, W).

    Args:
        values: float (n, H, W).
        quantile: 0..1, in each image by itself; of a flat image nothing is an edge.
    """
    x, y = _slopes(values)
    size = x.square() + y.square()
    flat = size.flatten(1)
    limit = flat.kthvalue(max(1, math.ceil(quantile * flat.shape[1])), 1).values
    return size > limit[:, None, None]


def steepness(values: Tensor) -> Tensor:
    """How long the gradient by Sobel's operator is: float (n, H, W) -> float (n, H, W)."""
    x, y = _slopes(values)
    return torch.hypot(x, y)


def zero_crossings(values: Tensor, sigma: float) -> Tensor:
    """Where the Laplacian of a Gaussian changes its sign: bool (n, H, W). Marr and Hildreth, Proc. R. Soc. B 207, 1980.

    Of two neighbours in a row or a column with different signs the one nearer to zero is an edge, where they differ by
    more than three quarters of the image's mean absolute value: a usual rule against the crossings of flat regions.

    Args:
        values: float (n, H, W). sigma: of the Gaussian, in pixels.
    """
    lined = F.pad(gaussian(values, sigma)[:, None], [1, 1, 1, 1], mode="replicate")[:, 0]
    middle = lined[:, 1:-1, 1:-1]
    curved = lined[:, :-2, 1:-1] + lined[:, 2:, 1:-1] + lined[:, 1:-1, :-2] + lined[:, 1:-1, 2:] - 4 * middle
    least = (0.75 * curved.abs().mean((1, 2), keepdim=True)).clamp_(min=0.01)  # of grey levels: less is rounding
    edges = torch.zeros_like(curved, dtype=torch.bool)
    for axis in (1, 2):
        length = curved.shape[axis] - 1
        one, other = curved.narrow(axis, 0, length), curved.narrow(axis, 1, length)
        crossed = ((one < 0) != (other < 0)) & ((one - other).abs() > least)
        nearer = one.abs() <= other.abs()
        edges.narrow(axis, 0, length).logical_or_(crossed & nearer)
        edges.narrow(axis, 1, length).logical_or_(crossed & ~nearer)
    return edges


def _slopes(values: Tensor) -> tuple[Tensor, Tensor]:
    """Sobel's gradients along x and y of float (n, H, W); beyond the border lies the nearest pixel."""
    lined = F.pad(values[:, None], [1, 1, 1, 1], mode="replicate")[:, 0]
    down = lined[:, :-2] + 2 * lined[:, 1:-1] + lined[:, 2:]  # smoothed along columns
    right = lined[:, :, :-2] + 2 * lined[:, :, 1:-1] + lined[:, :, 2:]
    return down[:, :, 2:] - down[:, :, :-2], right[:, 2:] - right[:, :-2]


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


def dilated(marked: Tensor, radius: int) -> Tensor:
    """What is marked, and all within ``radius`` pixels of it (Euclidean): bool (n, H, W) -> bool (n, H, W)."""
    return distance(marked, radius + 1) <= radius


def outlines(masks: Tensor) -> Tensor:
    """Pixels of a mask of whose eight neighbours one is not in it: bool (n, H, W) -> bool (n, H, W).

    What lies beyond the image's border counts as the mask's.
    """
    around = F.max_pool2d((~masks).float()[:, None], 3, stride=1, padding=1)[:, 0]
    return masks & (around > 0)


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
