"""Perturbations that take one cue from an image and leave the others: shape, texture, colour, the whole, the parts.

Each is batched on the images' device and keeps bytes as bytes: nothing is compressed in between. What is random is a
pure function of (seed, name, level, variant, number of the image), so that neither the size of a batch nor the other
levels change an image. After M. Bütner (thesis, Bamberg 2020), Burgert et al. (NeurIPS 2025, arXiv:2509.20234) and
Geirhos et al. (NeurIPS 2018, arXiv:1808.08750); where a formula is not theirs, it is stated with the operation.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor

from src.core.errors import UserError
from src.core.seeds import uniform
from src.core.shown import Shown
from src.imageops.colour import contrast, luma
from src.imageops.edges import auto_thresholds, canny, outlines, steepest, zero_crossings
from src.imageops.filters import gaussian
from src.methods.locality.grids import derangements, from_blocks, patch_masks, to_blocks
from src.methods.locality.levels import LAYOUTS, LEVELS, check_level
from src.methods.locality.smoothing import bilateral, non_local_means

Region = Literal["all", "inside", "outside"]

COVERED = 0.9  # of each side of an image, at least, by the blocks of a grid


@dataclass(frozen=True)
class Perturbation:
    """What is done to every image.

    Attributes:
        name: of ``OPERATIONS``.
        level: how much, in the unit that the operation names.
        variant: another draw of what is random, or which single patch is masked.
        seed: of what is random.
        region: where: everywhere, within the mask of the object, or outside it.
    """

    name: str
    level: float
    variant: int = 0
    seed: int = 0
    region: Region = "all"


@dataclass(frozen=True)
class Batch(Shown):
    """Images on their way through an operation.

    Attributes:
        images: float (n, C, H, W) of 0..255; an operation may overwrite it.
        masks: bool (n, 1, H, W), where the object is, or None where the source does not know.
        numbers: int64 (n,), of the images within their set, on their device.
        perturbation: what is done to them.
    """

    images: Tensor
    masks: Tensor | None
    numbers: Tensor
    perturbation: Perturbation

    @property
    def key(self) -> tuple[int | str, ...]:
        """Of the random streams that all images share."""
        done = self.perturbation
        return (done.seed, done.name, str(done.level), done.variant)

    @property
    def size(self) -> tuple[int, int]:
        """Height and width."""
        return int(self.images.shape[2]), int(self.images.shape[3])

    def uniform(self, *shape: int) -> Tensor:
        """float32 (n, *shape) of 0..1, each image's by its own number, on the images' device."""
        return uniform(self.numbers, math.prod(shape), *self.key).view(-1, *shape)


def perturb(images: Tensor, perturbation: Perturbation, masks: Tensor | None = None, first: int = 0) -> Tensor:
    """The perturbed images.

    Args:
        images: uint8 (n, C, H, W) on any device.
        masks: (n, H, W), not 0 where the object is; needed for a region, a silhouette and an exact outline.
        first: number of the first image within its set.

    Returns:
        uint8 (n, C, H, W), there too.

    Raises:
        UserError: no such operation; a level that it cannot take; a mask is needed and there is none.
    """
    check_level(perturbation.name, perturbation.level)
    inside = None if masks is None else (masks != 0)[:, None].to(images.device)
    if inside is None and (LEVELS[perturbation.name].needs_masks or perturbation.region != "all"):
        raise UserError(
            f"perturbation {perturbation.name}, region {perturbation.region}: the data has no masks of objects; take "
            "region all and another operation, or data with masks: glyphs, or photographs with data.source.boxes"
        )
    numbers = torch.arange(first, first + len(images), device=images.device)
    changed = OPERATIONS[perturbation.name](Batch(images.float(), inside, numbers, perturbation))
    perturbed = changed.round_().clamp_(0, 255).to(torch.uint8)
    if perturbation.region == "all" or inside is None:
        return perturbed
    return torch.where(inside if perturbation.region == "inside" else ~inside, perturbed, images)


def block_shuffle(batch: Batch) -> Tensor:
    """Level: pixels of a block's side. Every block goes to another place, by a derangement of its own per image."""
    blocks = to_blocks(batch.images, int(batch.perturbation.level))
    return from_blocks(_moved(blocks, batch), *batch.size)


def block_borders(batch: Batch) -> Tensor:
    """Level: pixels of a block's side. The control of a shuffle: its new edges without its new places.

    Every block stays where it is; only its frame of one pixel is taken from the block that the shuffle with the same
    seed would put there. Ours.
    """
    side = int(batch.perturbation.level)
    blocks = to_blocks(batch.images, side)
    frame = torch.ones(side, side, dtype=torch.bool, device=blocks.device)
    frame[1:-1, 1:-1] = False
    return from_blocks(torch.where(frame, _moved(blocks, batch), blocks), *batch.size)


def _moved(blocks: Tensor, batch: Batch) -> Tensor:
    seed, _, level, variant = batch.key
    rows = derangements(batch.numbers, blocks.shape[1], seed, "block_shuffle", level, variant)  # its control's as well
    index = rows[:, :, None, None, None]
    return blocks.gather(1, index.expand_as(blocks))


def block_rotation(batch: Batch) -> Tensor:
    """Level: pixels of a block's side. Every block stays and is turned by 0, 90, 180 or 270 degrees at random."""
    blocks = to_blocks(batch.images, int(batch.perturbation.level))
    turns = (batch.uniform(blocks.shape[1]) * 4).long()[:, :, None, None, None]
    for quarter in (1, 2, 3):
        blocks = torch.where(turns == quarter, blocks.rot90(quarter, (3, 4)), blocks)
    return from_blocks(blocks, *batch.size)


def _in_grid(name: str, work: Callable[[Batch], Tensor]) -> Callable[[Batch], Tensor]:
    """An operation on blocks whose level is the number of blocks along a side, as published, for images of any size.

    Where they do not fill the image, it is cut in its middle, and what is left of its border stays.
    """

    def of_grid(batch: Batch) -> Tensor:
        grid, (height, width) = int(batch.perturbation.level), batch.size
        side = min(height, width) // grid
        inner = grid * side
        if inner < COVERED * max(height, width):
            raise UserError(
                f"{batch.perturbation.name}, level {grid}: {grid}x{grid} whole blocks cover {inner} of {height}x"
                f"{width} pixels; take another number of blocks"
            )
        rows = slice(above := (height - inner) // 2, above + inner)
        columns = slice(left := (width - inner) // 2, left + inner)
        part = replace(
            batch, images=batch.images[..., rows, columns],
            perturbation=replace(batch.perturbation, name=name, level=float(side)),
        )  # fmt: skip
        batch.images[..., rows, columns] = work(part)
        return batch.images

    return of_grid


def _mask(layout: str, fill: str, single: bool) -> Callable[[Batch], Tensor]:
    def work(batch: Batch) -> Tensor:
        masks = patch_masks(*batch.size, int(batch.perturbation.level), layout).to(batch.images.device)
        if single:
            patch = batch.perturbation.variant
            if not 0 <= patch < len(masks):
                raise UserError(f"mask, variant {patch}: allowed are the patches 0..{len(masks) - 1}")
            chosen = masks[patch]
        else:
            chosen = masks.any(0)
        return torch.where(chosen, FILLS[fill](batch), batch.images)

    return work


def _noise(batch: Batch) -> Tensor:
    """Uniform noise between the image's darkest and brightest value of each channel."""
    low, high = batch.images.amin((2, 3), keepdim=True), batch.images.amax((2, 3), keepdim=True)
    return low + (high - low) * batch.uniform(*batch.images.shape[1:])


#: what is put in the place of a masked patch
FILLS: dict[str, Callable[[Batch], Tensor]] = {
    "black": lambda batch: torch.zeros_like(batch.images),
    "mean": lambda batch: batch.images.mean((2, 3), keepdim=True).expand_as(batch.images),
    "blur": lambda batch: gaussian(batch.images, batch.perturbation.level / 2),
    "noise": _noise,
}


def masked_area(height: int, width: int, side: int, layout: str = "checker") -> float:
    """The share of the image that is masked when all patches of a layout are."""
    return float(patch_masks(height, width, side, layout).any(0).float().mean())


def smooth(batch: Batch) -> Tensor:
    """Level: times that a bilateral filter (diameter 5, colour 50 levels, space 75 pixels) is applied."""
    smoothed = batch.images
    for _ in range(int(batch.perturbation.level)):
        smoothed = bilateral(smoothed, 5, 50.0)
    return smoothed


def bilateral_once(batch: Batch) -> Tensor:
    """Level: the neighbourhood's diameter d in pixels, 4..14; colours 15 d - 10 levels, space 75 pixels.

    The published sweep (Burgert et al. 2025): 4/50, 6/80, ..., 14/200.
    """
    diameter = int(batch.perturbation.level)
    return bilateral(batch.images, diameter, 15.0 * diameter - 10)


def residual(batch: Batch) -> Tensor:
    """Level: as of ``smooth``. What the smoothing takes away: absolute differences, black where nothing was."""
    return (batch.images - smooth(batch)).abs_()


def inverse_residual(batch: Batch) -> Tensor:
    """255 less ``residual``: dark lines on white."""
    return 255 - residual(batch)


def low_pass(batch: Batch) -> Tensor:
    """Level: standard deviation of a Gaussian in pixels; what it lets through."""
    return gaussian(batch.images, batch.perturbation.level)


def high_pass(batch: Batch) -> Tensor:
    """Level: standard deviation of a Gaussian in pixels; what it takes away, around the image's mean colour."""
    means = batch.images.mean((2, 3), keepdim=True)
    return batch.images - gaussian(batch.images, batch.perturbation.level) + means


def phase_noise(batch: Batch) -> Tensor:
    """Level: degrees. Every frequency's phase is shifted by a number from -level to level, the same in all channels.

    The shift of the opposite frequency is its negative, so that the image stays real; the mean is kept.
    """
    height, width = batch.size
    shift = (2 * batch.uniform(height, width) - 1) * torch.pi / 180 * batch.perturbation.level
    opposite = shift.flip(1, 2).roll((1, 1), (1, 2))
    # both halves get a shift of the full range: one is drawn, the other is its mirror image
    order = torch.arange(height * width, device=shift.device).view(height, width)
    mirrored = order.flip(0, 1).roll((1, 1), (0, 1))
    odd = torch.where(order < mirrored, shift, -opposite)
    odd = torch.where(order == mirrored, 0.0, odd)
    spectrum = torch.fft.fft2(batch.images)
    return torch.fft.ifft2(spectrum * torch.polar(torch.ones_like(odd), odd)[:, None]).real


def grayscale(batch: Batch) -> Tensor:
    """Level: 0..1, the share of grey that is mixed in."""
    return batch.images.lerp(luma(batch.images).expand_as(batch.images), batch.perturbation.level)


def channel_shuffle(batch: Batch) -> Tensor:
    """Level: 1. The three colours change places, none keeps its own; one of the two ways is drawn for each image."""
    if batch.images.shape[1] != 3:
        return batch.images
    orders = torch.tensor([[1, 2, 0], [2, 0, 1]], device=batch.images.device)
    chosen = orders[(batch.uniform() * len(orders)).long()]
    return batch.images.gather(1, chosen[:, :, None, None].expand_as(batch.images))


def fade(batch: Batch) -> Tensor:
    """Level: 0..1, the share of the contrast around the mean colour that is taken."""
    return contrast(batch.images, 1 - batch.perturbation.level)


def silhouette(batch: Batch) -> Tensor:
    """Level: 1. The object black on white."""
    assert batch.masks is not None
    return 255.0 * (~batch.masks).float().expand_as(batch.images).contiguous()


def edges(batch: Batch) -> Tensor:
    """Level: sigma of the thresholds (1 - sigma) m and (1 + sigma) m, m the median of the grey image. White on black.

    Canny's edges as in the thesis (sigma 0.9), of the image as the network gets it, in its frame.
    """
    return _lines(_auto_canny(_grey(batch), batch), batch)


def edges_denoised(batch: Batch) -> Tensor:
    """Level: as of ``edges``, of the image without noise: non-local means with the thesis's strength, 30 grey levels.

    The thesis denoises in colour, with a strength of 10 for the two colours, which an edge of grey hardly sees.
    """
    return _lines(_auto_canny(non_local_means(_grey(batch)[:, None], 30.0)[:, 0].round(), batch), batch)


def edges_sobel(batch: Batch) -> Tensor:
    """Level: 0..1, the quantile of the image's gradients that an edge exceeds. White on black."""
    return _lines(steepest(_grey(batch), batch.perturbation.level), batch)


def edges_laplacian(batch: Batch) -> Tensor:
    """Level: standard deviation of a Gaussian in pixels; where its Laplacian crosses zero. White on black."""
    return _lines(zero_crossings(_grey(batch), batch.perturbation.level), batch)


def _grey(batch: Batch) -> Tensor:
    """(n, H, W), whole numbers."""
    return luma(batch.images)[:, 0].round()


def _auto_canny(grey: Tensor, batch: Batch) -> Tensor:
    return canny(grey, *auto_thresholds(grey, batch.perturbation.level))


def _lines(drawn: Tensor, batch: Batch) -> Tensor:
    return 255.0 * drawn[:, None].float().expand_as(batch.images).contiguous()


def outline(batch: Batch) -> Tensor:
    """Level: 1. The exact border of the object, white on black: pixels of it with a neighbour that is not."""
    assert batch.masks is not None
    return _lines(outlines(batch.masks[:, 0]), batch)


OPERATIONS: dict[str, Callable[[Batch], Tensor]] = {
    "block_shuffle": block_shuffle,
    "block_borders": block_borders,
    "block_rotation": block_rotation,
    "grid_shuffle": _in_grid("block_shuffle", block_shuffle),
    "grid_rotation": _in_grid("block_rotation", block_rotation),
    **{f"mask_{layout}_{fill}": _mask(layout, fill, False) for layout in LAYOUTS for fill in FILLS},
    **{f"mask_single_{fill}": _mask("checker", fill, True) for fill in FILLS},
    "smooth": smooth,
    "bilateral": bilateral_once,
    "residual": residual,
    "inverse_residual": inverse_residual,
    "low_pass": low_pass,
    "high_pass": high_pass,
    "phase_noise": phase_noise,
    "grayscale": grayscale,
    "channel_shuffle": channel_shuffle,
    "contrast": fade,
    "silhouette": silhouette,
    "outline": outline,
    "edges": edges,
    "edges_denoised": edges_denoised,
    "edges_sobel": edges_sobel,
    "edges_laplacian": edges_laplacian,
}
"""The work of each operation of `src.methods.locality.levels`."""
