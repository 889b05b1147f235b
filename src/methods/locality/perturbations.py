"""Perturbations that take one cue from an image and leave the others: shape, texture, colour, the whole, the parts.

Each is batched on the images' device and keeps bytes as bytes: nothing is compressed in between. What is random is a
pure function of (seed, name, level, variant, number of the image), so that neither the size of a batch nor the other
levels change an image. After M. Bütner (thesis, Bamberg 2020), Burgert et al. (NeurIPS 2025, arXiv:2509.20234) and
Geirhos et al. (NeurIPS 2018, arXiv:1808.08750); where a formula is not theirs, it is stated with the operation.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import torch
from torch import Tensor

from src.core.errors import UserError, suggestion
from src.core.seeds import stream
from src.imageops.colour import contrast, luma
from src.imageops.edges import canny
from src.imageops.filters import gaussian
from src.methods.locality.grids import derangements, from_blocks, patch_masks, to_blocks
from src.methods.locality.smoothing import bilateral

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
class Batch:
    """Images on their way through an operation.

    Attributes:
        images: float (n, C, H, W) of 0..255; an operation may overwrite it.
        masks: bool (n, 1, H, W), where the object is, or None where the source does not know.
        numbers: of the images within their set.
        how: the perturbation.
    """

    images: Tensor
    masks: Tensor | None
    numbers: range
    how: Perturbation

    @property
    def key(self) -> tuple[int | str, ...]:
        """Of the random streams that all images share."""
        return (self.how.seed, self.how.name, str(self.how.level), self.how.variant)

    @property
    def size(self) -> tuple[int, int]:
        """Height and width."""
        return int(self.images.shape[2]), int(self.images.shape[3])

    def uniform(self, *shape: int) -> Tensor:
        """float32 (n, *shape) of 0..1, each image's by its own number, on the images' device."""
        rows = [torch.rand(shape, generator=stream(*self.key, number)) for number in self.numbers]
        return torch.stack(rows).to(self.images.device)


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
    operation = OPERATIONS.get(perturbation.name)
    if operation is None:
        raise UserError(f"perturbation {perturbation.name}: {suggestion(perturbation.name, OPERATIONS)}")
    inside = None if masks is None else (masks != 0)[:, None].to(images.device)
    if inside is None and (operation.needs_masks or perturbation.region != "all"):
        raise UserError(
            f"perturbation {perturbation.name}, region {perturbation.region}: the data has no masks of objects; take "
            "region all and another operation, or data with masks (glyphs)"
        )
    operation.check(perturbation)
    numbers = range(first, first + len(images))
    changed = operation.work(Batch(images.float(), inside, numbers, perturbation))
    perturbed = changed.round_().clamp_(0, 255).to(torch.uint8)
    if perturbation.region == "all" or inside is None:
        return perturbed
    return torch.where(inside if perturbation.region == "inside" else ~inside, perturbed, images)


def block_shuffle(batch: Batch) -> Tensor:
    """Level: pixels of a block's side. Every block goes to another place, by a derangement of its own per image."""
    blocks = to_blocks(batch.images, int(batch.how.level))
    return from_blocks(_moved(blocks, batch), *batch.size)


def block_borders(batch: Batch) -> Tensor:
    """Level: pixels of a block's side. The control of a shuffle: its new edges without its new places.

    Every block stays where it is; only its frame of one pixel is taken from the block that the shuffle with the same
    seed would put there. Ours.
    """
    side = int(batch.how.level)
    blocks = to_blocks(batch.images, side)
    frame = torch.ones(side, side, dtype=torch.bool, device=blocks.device)
    frame[1:-1, 1:-1] = False
    return from_blocks(torch.where(frame, _moved(blocks, batch), blocks), *batch.size)


def _moved(blocks: Tensor, batch: Batch) -> Tensor:
    how = batch.how
    key = (how.seed, "block_shuffle", str(how.level), how.variant)  # the control's permutation is the shuffle's
    rows = [derangements(1, blocks.shape[1], *key, number) for number in batch.numbers]
    index = torch.cat(rows).to(blocks.device)[:, :, None, None, None]
    return blocks.gather(1, index.expand_as(blocks))


def block_rotation(batch: Batch) -> Tensor:
    """Level: pixels of a block's side. Every block stays and is turned by 0, 90, 180 or 270 degrees at random."""
    blocks = to_blocks(batch.images, int(batch.how.level))
    turns = (batch.uniform(blocks.shape[1]) * 4).long()[:, :, None, None, None]
    for quarter in (1, 2, 3):
        blocks = torch.where(turns == quarter, blocks.rot90(quarter, (3, 4)), blocks)
    return from_blocks(blocks, *batch.size)


def _in_grid(name: str, work: Callable[[Batch], Tensor]) -> Callable[[Batch], Tensor]:
    """An operation on blocks whose level is the number of blocks along a side, as published, for images of any size.

    Where they do not fill the image, it is cut in its middle, and what is left of its border stays.
    """

    def of_grid(batch: Batch) -> Tensor:
        grid, (height, width) = int(batch.how.level), batch.size
        side = min(height, width) // grid
        inner = grid * side
        if inner < COVERED * max(height, width):
            raise UserError(
                f"{batch.how.name}, level {grid}: {grid}x{grid} whole blocks cover {inner} of {height}x{width} pixels; "
                "take another number of blocks"
            )
        rows = slice(above := (height - inner) // 2, above + inner)
        columns = slice(left := (width - inner) // 2, left + inner)
        part = replace(
            batch, images=batch.images[..., rows, columns], how=replace(batch.how, name=name, level=float(side))
        )
        batch.images[..., rows, columns] = work(part)
        return batch.images

    return of_grid


def _mask(layout: str, fill: str, single: bool) -> Callable[[Batch], Tensor]:
    def work(batch: Batch) -> Tensor:
        masks = patch_masks(*batch.size, int(batch.how.level), layout).to(batch.images.device)
        if single:
            if not 0 <= batch.how.variant < len(masks):
                raise UserError(f"mask, variant {batch.how.variant}: allowed are the patches 0..{len(masks) - 1}")
            chosen = masks[batch.how.variant]
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
    "blur": lambda batch: gaussian(batch.images, batch.how.level / 2),
    "noise": _noise,
}
LAYOUTS = ("checker", "dense")


def masked_area(height: int, width: int, side: int, layout: str = "checker") -> float:
    """The share of the image that is masked when all patches of a layout are."""
    return float(patch_masks(height, width, side, layout).any(0).float().mean())


def smooth(batch: Batch) -> Tensor:
    """Level: times that a bilateral filter (diameter 5, colour 50 levels, space 75 pixels) is applied."""
    smoothed = batch.images
    for _ in range(int(batch.how.level)):
        smoothed = bilateral(smoothed, 5, 50.0)
    return smoothed


def bilateral_once(batch: Batch) -> Tensor:
    """Level: the neighbourhood's diameter d in pixels, 4..14; colours 15 d - 10 levels, space 75 pixels.

    The published sweep (Burgert et al. 2025): 4/50, 6/80, ..., 14/200.
    """
    diameter = int(batch.how.level)
    return bilateral(batch.images, diameter, 15.0 * diameter - 10)


def residual(batch: Batch) -> Tensor:
    """Level: as of ``smooth``. What the smoothing takes away: absolute differences, black where nothing was."""
    return (batch.images - smooth(batch)).abs_()


def inverse_residual(batch: Batch) -> Tensor:
    """255 less ``residual``: dark lines on white."""
    return 255 - residual(batch)


def low_pass(batch: Batch) -> Tensor:
    """Level: standard deviation of a Gaussian in pixels; what it lets through."""
    return gaussian(batch.images, batch.how.level)


def high_pass(batch: Batch) -> Tensor:
    """Level: standard deviation of a Gaussian in pixels; what it takes away, around the image's mean colour."""
    means = batch.images.mean((2, 3), keepdim=True)
    return batch.images - gaussian(batch.images, batch.how.level) + means


def phase_noise(batch: Batch) -> Tensor:
    """Level: degrees. Every frequency's phase is shifted by a number from -level to level, the same in all channels.

    The shift of the opposite frequency is its negative, so that the image stays real; the mean is kept.
    """
    height, width = batch.size
    shift = (2 * batch.uniform(height, width) - 1) * torch.pi / 180 * batch.how.level
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
    return batch.images.lerp(luma(batch.images).expand_as(batch.images), batch.how.level)


def channel_shuffle(batch: Batch) -> Tensor:
    """Level: 1. The three colours change places, none keeps its own; one of the two ways is drawn for each image."""
    if batch.images.shape[1] != 3:
        return batch.images
    orders = torch.tensor([[1, 2, 0], [2, 0, 1]], device=batch.images.device)
    chosen = orders[(batch.uniform() * len(orders)).long()]
    return batch.images.gather(1, chosen[:, :, None, None].expand_as(batch.images))


def fade(batch: Batch) -> Tensor:
    """Level: 0..1, the share of the contrast around the mean colour that is taken."""
    return contrast(batch.images, 1 - batch.how.level)


def silhouette(batch: Batch) -> Tensor:
    """Level: 1. The object black on white."""
    assert batch.masks is not None
    return 255.0 * (~batch.masks).float().expand_as(batch.images).contiguous()


def edges(batch: Batch) -> Tensor:
    """Level: sigma of the thresholds (1 - sigma) m and (1 + sigma) m, m the median of the grey image. White on black.

    Canny's edges as in the thesis (sigma 0.9), of the image as it is, in its own frame.
    """
    grey = luma(batch.images)[:, 0].round()
    lines = [
        canny(image[None], *auto_thresholds(float(median), batch.how.level))
        for image, median in zip(grey, grey.flatten(1).median(1).values.tolist(), strict=True)
    ]
    return 255.0 * torch.cat(lines)[:, None].float().expand_as(batch.images).contiguous()


def auto_thresholds(median: float, sigma: float) -> tuple[float, float]:
    """Canny's thresholds by the median of an image: whole numbers of 0..255."""
    return float(int(max(0.0, (1 - sigma) * median))), float(int(min(255.0, (1 + sigma) * median)))


def outline(batch: Batch) -> Tensor:
    """Level: 1. The exact border of the object, white on black: pixels of it with a neighbour that is not."""
    assert batch.masks is not None
    held = batch.masks.float()
    core = -torch.nn.functional.max_pool2d(-held, 3, stride=1, padding=1)
    return (255.0 * (held - core)).expand_as(batch.images).contiguous()


@dataclass(frozen=True)
class Operation:
    """``work`` on a batch; ``lowest`` and ``highest`` level; ``whole``: levels are whole numbers; ``random``: draws."""

    work: Callable[[Batch], Tensor]
    lowest: float
    highest: float
    whole: bool = False
    needs_masks: bool = False
    random: bool = False

    def check(self, how: Perturbation) -> None:
        """UserError where the level is not allowed."""
        if not self.lowest <= how.level <= self.highest or (self.whole and how.level != int(how.level)):
            kind = "whole numbers" if self.whole else "numbers"
            raise UserError(
                f"{how.name}, level {how.level:g}: allowed are {kind} from {self.lowest:g} to {self.highest:g}"
            )


_PIXELS: Mapping[str, Any] = {"lowest": 1, "highest": 4096, "whole": True}
OPERATIONS: dict[str, Operation] = {
    "block_shuffle": Operation(block_shuffle, **_PIXELS, random=True),
    "block_borders": Operation(block_borders, **_PIXELS, random=True),
    "block_rotation": Operation(block_rotation, **_PIXELS, random=True),
    "grid_shuffle": Operation(_in_grid("block_shuffle", block_shuffle), **_PIXELS, random=True),
    "grid_rotation": Operation(_in_grid("block_rotation", block_rotation), **_PIXELS, random=True),
    **{f"mask_{layout}_{fill}": Operation(_mask(layout, fill, False), **_PIXELS, random=fill == "noise")
       for layout in LAYOUTS for fill in FILLS},
    **{f"mask_single_{fill}": Operation(_mask("checker", fill, True), **_PIXELS, random=True) for fill in FILLS},
    "smooth": Operation(smooth, 0, 50, whole=True),
    "bilateral": Operation(bilateral_once, 4, 14, whole=True),
    "residual": Operation(residual, 1, 50, whole=True),
    "inverse_residual": Operation(inverse_residual, 1, 50, whole=True),
    "low_pass": Operation(low_pass, 0, 1000),
    "high_pass": Operation(high_pass, 0, 1000),
    "phase_noise": Operation(phase_noise, 0, 180, random=True),
    "grayscale": Operation(grayscale, 0, 1),
    "channel_shuffle": Operation(channel_shuffle, 1, 1, random=True),
    "contrast": Operation(fade, 0, 1),
    "silhouette": Operation(silhouette, 1, 1, needs_masks=True),
    "outline": Operation(outline, 1, 1, needs_masks=True),
    "edges": Operation(edges, 0, 1),
}  # fmt: skip
