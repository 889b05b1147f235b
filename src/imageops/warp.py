"""Images cut out, and bent: by an affine map, by a field of displacements, by pixels that take a neighbour's place."""

import torch
import torch.nn.functional as F
from torch import Tensor


def windows(images: Tensor, top: Tensor, left: Tensor, height: int, width: int, chosen: Tensor | None = None) -> Tensor:
    """(m, C, height, width): of each image its window, at row `top` and column `left`, as copies of contiguous memory.

    Args:
        images: (n, C, H, W) of any type.
        top, left: int64 (m,), 0..H - height and 0..W - width.
        chosen: int64 (m,), the image of each window; None: each its own (m = n).

    Returns:
        A view of fresh memory in which rows are W apart.
    """
    count, channels, full_height, full_width = images.shape
    images = images.contiguous()
    plane = full_height * full_width
    length = (height - 1) * full_width + width
    chosen = torch.arange(count) if chosen is None else chosen
    first = (chosen * channels * plane + top * full_width + left)[:, None] + torch.arange(channels) * plane
    # every start of a window is a row of this view; one row is one copy
    runs = images.as_strided((images.numel() - length + 1, length), (1, 1))
    taken = runs.index_select(0, first.flatten().to(images.device))
    strides = (channels * length, length, full_width, 1)
    return taken.as_strided((len(chosen), channels, height, width), strides)


def affine(values: Tensor, inverse: Tensor) -> Tensor:
    """Each image through its own affine map, bilinear, mirrored at the border.

    Args:
        values: float (n, C, H, W).
        inverse: float (n, 3, 2): ``(x, y, 1) @ inverse`` is where the value of pixel (x, y) comes from.
    """
    height, width = values.shape[2:]
    device = values.device
    x, y = torch.arange(width, device=device), torch.arange(height, device=device)
    ones = torch.ones(height, width, device=device)
    places = torch.stack([ones * x, ones * y[:, None], ones], 2).view(1, -1, 3)
    scale = torch.tensor([2 / (width - 1), 2 / (height - 1)], device=device)
    grid = (places @ (inverse.to(device) * scale)).sub_(1).view(-1, height, width, 2)
    return F.grid_sample(values, grid, mode="bilinear", padding_mode="reflection", align_corners=True)


def displace(values: Tensor, shifts: Tensor) -> Tensor:
    """Each pixel takes the value at its place plus its shift, bilinear, the border pixel doubled and then mirrored.

    Args:
        values: float (n, C, H, W).
        shifts: float (n, 2, H, W): to the right and down, in pixels.
    """
    height, width = values.shape[2:]
    device = values.device
    x = (shifts[:, 0] + torch.arange(width, device=device)).mul_(2).add_(1).div_(width).sub_(1)
    y = (shifts[:, 1] + torch.arange(height, device=device)[:, None]).mul_(2).add_(1).div_(height).sub_(1)
    grid = torch.stack([x, y], 3)
    return F.grid_sample(values, grid, mode="bilinear", padding_mode="reflection", align_corners=False)


def frosted(values: Tensor, reach: int, passes: int, generator: torch.Generator) -> Tensor:
    """Pixels seen through frosted glass: each takes the value of a random neighbour, in turn.

    Row by row from the last pixel to the first, all but a margin, a pixel becomes what its neighbour is by then, at
    offsets of -reach..reach-1 rows and columns. That is what the published program does: what is written there as an
    exchange of two pixels leaves the neighbour as it was, since numpy hands out views. Here all chains of neighbours
    are followed at once, which gives the same pixels as going through them in turn.

    Args:
        values: float (n, C, H, W).
        reach: in pixels. passes: over the image.
    """
    count, channels, height, width = values.shape
    rows, columns = torch.arange(reach + 1, height - reach + 1), torch.arange(reach + 1, width - reach + 1)
    rows, columns = rows[rows < height], columns[columns < width]
    inside = (rows[:, None] * width + columns).flatten()
    source: Tensor | None = None
    for _ in range(passes):
        offsets = torch.randint(-reach, reach, (2, count, len(inside)), generator=generator)
        neighbour = inside + offsets[0] * width + offsets[1]
        drawn = torch.arange(height * width).repeat(count, 1)
        drawn[:, inside] = neighbour
        drawn = drawn.to(values.device)
        origin = _settled(drawn, inside.to(values.device)) if reach > 1 else drawn
        source = origin if source is None else source.gather(1, origin)
    assert source is not None
    flat = values.flatten(2)
    return flat.gather(2, source[:, None].expand(count, channels, -1)).view_as(values)


def _settled(drawn: Tensor, inside: Tensor) -> Tensor:
    """Where the values come from in the end: a neighbour further on has already taken another's value.

    ``drawn`` int64 (n, pixels): the neighbour of each pixel, itself outside of the int64 (m,) pixels that take part.
    """
    places = torch.arange(drawn.shape[1], device=drawn.device)
    moved = torch.zeros(drawn.shape[1], dtype=torch.bool, device=drawn.device)
    moved[inside] = True
    # a link goes on where its target was visited before; everywhere else the chain ends
    further = (drawn > places) & moved[drawn]
    link = torch.where(further, drawn, places)
    while True:
        jumped = link.gather(1, link)
        if torch.equal(jumped, link):
            break
        link = jumped
    return drawn.gather(1, link)
