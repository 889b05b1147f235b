"""Snow, frost, fog, and spatter. Each takes float values (n, C, H, W) of 0..255, which it may overwrite."""

import torch
from torch import Tensor

from src.imageops import blur, colour, edges, filters
from src.imageops.noise import pictures, plasma
from src.imageops.resampling import zoom_crop, zoom_matrix
from src.imageops.warp import windows

WATER = (175, 238, 238)
MUD = (63, 42, 20)


def snow(
    values: Tensor,
    generator: torch.Generator,
    mean: float,
    std: float,
    zoom: float,
    threshold: float,
    radius: float,
    sigma: float,
    kept: float,
) -> Tensor:
    """A paler image under flakes: noise that is enlarged, cut at a threshold and blurred by falling."""
    height, width = values.shape[2:]
    device = values.device
    size = (len(values), 1, zoom_crop(height, zoom), zoom_crop(width, zoom))
    flakes = torch.randn(size, generator=generator).mul_(std).add_(mean).to(device)
    flakes = filters.along_axes(flakes, zoom_matrix(height, zoom, device), zoom_matrix(width, zoom, device))
    flakes = flakes.masked_fill_(flakes < threshold, 0).clamp_(0, 1).mul_(255).floor_()
    angles = torch.rand(len(values), generator=generator) * 90 - 135
    flakes = blur.motion(flakes, int(radius), sigma, angles).round_()
    pale = colour.luma(values).mul(1.5).add_(127.5)
    pale = torch.maximum(values, pale).mul_(1 - kept)
    return values.mul_(kept).add_(pale).add_(flakes).add_(flakes.flip(2, 3))


def frost(values: Tensor, generator: torch.Generator, kept: float, share: float, scale: float) -> Tensor:
    """A random part of a random picture of ice over the image.

    The published images have parts of five photographs; ours are made of noise (`src.imageops.noise`), with the mean
    colours and the spread of those, but not their shapes. `scale` is of the picture.
    """
    count, channels, height, width = values.shape
    side = 256 if scale < 1 else 512
    while side < 2 * max(height, width):
        side *= 2
    ice = pictures(side, scale, values.device)
    chosen = torch.randint(0, len(ice), (count,), generator=generator)
    top = torch.randint(0, side - height, (count,), generator=generator)
    left = torch.randint(0, side - width, (count,), generator=generator)
    cover = windows(ice, top, left, height, width, chosen)
    return values.mul_(kept).add_(cover if channels == 3 else colour.luma(cover), alpha=share)


def fog(values: Tensor, generator: torch.Generator, thickness: float, decay: float) -> Tensor:
    """Clouds added, and the whole darkened so that the brightest value would stay within the image's range."""
    count, _, height, width = values.shape
    side = 1 << (max(height, width) - 1).bit_length()
    clouds = plasma(count, side, decay, generator)[:, None, :height, :width].to(values.device)
    brightest = values.amax((1, 2, 3), keepdim=True)
    values.add_(clouds, alpha=255 * thickness)
    return values.mul_(brightest / (brightest + 255 * thickness))


def spatter(
    values: Tensor,
    generator: torch.Generator,
    mean: float,
    std: float,
    sigma: float,
    threshold: float,
    strength: float,
    mud: float,
) -> Tensor:
    """Drops of water, which shine at one side of their edges, or of mud, which cover.

    Distances from the drops' edges are Euclidean here, and the published ones, from a mask of 5x5, within 2% of it.
    """
    count, _, height, width = values.shape
    drops = torch.randn(count, height, width, generator=generator).mul_(std).add_(mean).to(values.device)
    drops = filters.gaussian(drops, sigma)
    if mud:
        cover = filters.gaussian((drops > threshold).float(), strength)[:, None]
        cover = cover.masked_fill(cover < 0.8, 0)
        return colour.over(values.mul_(1 - cover), cover, MUD)
    drops = drops.masked_fill(drops < threshold, 0).mul_(255).floor_().clamp_(0, 255)
    shine = drops.mul_(_glints(drops))[:, None]
    shine.mul_(strength / shine.amax((1, 2, 3), keepdim=True).clamp(min=1))
    return colour.over(values, shine, WATER)


def _glints(drops: Tensor) -> Tensor:
    """Where drops (n, H, W) of 0..255 reflect light: whole numbers 0..255, largest towards the lower right."""
    height, width = drops.shape[1:]
    device = drops.device
    mean_rows, mean_columns = filters.box_matrix(height, 1, device), filters.box_matrix(width, 1, device)
    depth = edges.distance(edges.canny(drops, 50, 150), 20)
    depth = filters.along_axes(depth, mean_rows, mean_columns).add_(1e-3).floor_()
    depth = edges.equalised(depth, 21)
    relief = _relief(depth).clamp_(0, 255)
    return filters.along_axes(relief, mean_rows, mean_columns).round_()


def _relief(depth: Tensor) -> Tensor:
    """The 3x3 filter (-2 -1 0, -1 1 1, 0 1 2), mirrored at the border."""
    height, width = depth.shape[1:]
    around = torch.nn.functional.pad(depth[:, None], [1, 1, 1, 1], mode="reflect")[:, 0]

    def at(down: int, right: int) -> Tensor:
        return around[:, 1 + down : 1 + down + height, 1 + right : 1 + right + width]

    lower = at(1, 1) * 2 + at(0, 1) + at(1, 0)
    return lower + depth - at(0, -1) - at(-1, 0) - 2 * at(-1, -1)
