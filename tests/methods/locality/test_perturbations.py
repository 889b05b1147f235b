"""Perturbations: what they take away is gone, what they leave is untouched, and no batch size changes an image."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as some
from torch import Tensor

from src.core.errors import UserError
from src.imageops.colour import luma
from src.imageops.edges import canny
from src.methods.locality import levels
from src.methods.locality.grids import derangements, from_blocks, patch_grid, patch_masks, to_blocks
from src.methods.locality.perturbations import OPERATIONS, Perturbation, masked_area, perturb
from src.methods.locality.smoothing import bilateral, non_local_means

LEVELS = {"block_shuffle": 8, "block_borders": 8, "block_rotation": 8, "grid_shuffle": 4, "grid_rotation": 4,
          "smooth": 2, "bilateral": 6, "residual": 2,
          "inverse_residual": 2, "low_pass": 1.5, "high_pass": 1.5, "phase_noise": 90, "grayscale": 0.5,
          "channel_shuffle": 1, "contrast": 0.5, "silhouette": 1, "outline": 1, "edges": 0.9, "edges_denoised": 0.9,
          "edges_sobel": 0.9, "edges_laplacian": 1.0}  # fmt: skip


def images(count: int = 5, side: int = 32) -> Tensor:
    return torch.randint(0, 256, (count, 3, side, side), generator=torch.Generator().manual_seed(1)).to(torch.uint8)


def masks(count: int = 5, side: int = 32) -> Tensor:
    held = torch.zeros(count, side, side, dtype=torch.uint8)
    held[:, 8:20, 10:24] = 1
    return held


def test_every_operation_has_its_levels() -> None:
    assert list(OPERATIONS) == list(levels.LEVELS)


@pytest.mark.parametrize("name", OPERATIONS)
def test_an_image_is_its_own_whatever_the_batch(name: str) -> None:
    how = Perturbation(name, LEVELS.get(name, 5), seed=3)
    whole = perturb(images(), how, masks())
    assert whole.dtype == torch.uint8 and whole.shape == images().shape
    assert torch.equal(whole[3:], perturb(images()[3:], how, masks()[3:], first=3))
    assert not torch.equal(whole, images())


@pytest.mark.parametrize("name", OPERATIONS)
def test_a_region_leaves_the_rest(name: str) -> None:
    inside = (masks() != 0)[:, None].expand_as(images())
    within = perturb(images(), Perturbation(name, LEVELS.get(name, 5), region="inside"), masks())
    beyond = perturb(images(), Perturbation(name, LEVELS.get(name, 5), region="outside"), masks())
    assert torch.equal(within[~inside], images()[~inside]) and torch.equal(beyond[inside], images()[inside])
    assert torch.equal(
        torch.where(inside, within, beyond), perturb(images(), Perturbation(name, LEVELS.get(name, 5)), masks())
    )


def test_blocks_come_back() -> None:
    assert torch.equal(from_blocks(to_blocks(images(), 4), 32, 32), images())


def test_a_shuffle_keeps_every_block_and_none_in_its_place() -> None:
    shuffled = to_blocks(perturb(images(), Perturbation("block_shuffle", 8)), 8).flatten(2)
    before = to_blocks(images(), 8).flatten(2)
    for row, blocks in zip(shuffled, before, strict=True):
        same = (row[:, None] == blocks).all(2)
        assert torch.equal(same.sum(1), torch.ones(16, dtype=torch.long)) and not same.diagonal().any()


def test_every_derangement_of_three_is_drawn() -> None:
    drawn = derangements(torch.arange(400), 3, 7)
    assert {tuple(row) for row in drawn.tolist()} == {(1, 2, 0), (2, 0, 1)}
    share = (drawn[:, 0] == 1).float().mean()
    assert 0.4 < float(share) < 0.6
    with pytest.raises(UserError, match="no other place"):
        derangements(torch.arange(1), 1, 7)


@given(some.integers(2, 40), some.lists(some.integers(0, 10**6), min_size=1, max_size=8, unique=True))
def test_a_derangement_is_of_its_image_alone(blocks: int, numbers: list[int]) -> None:
    rows = derangements(torch.tensor(numbers), blocks, 5, "x")
    assert torch.equal(rows.sort(1).values, torch.arange(blocks).expand_as(rows))
    assert not (rows == torch.arange(blocks)).any()
    assert torch.equal(derangements(torch.tensor(numbers[-1:]), blocks, 5, "x"), rows[-1:])


def test_the_control_of_a_shuffle_has_its_borders_alone() -> None:
    control = to_blocks(perturb(images(), Perturbation("block_borders", 8)), 8)
    shuffled, before = to_blocks(perturb(images(), Perturbation("block_shuffle", 8)), 8), to_blocks(images(), 8)
    assert torch.equal(control[..., 1:-1, 1:-1], before[..., 1:-1, 1:-1])
    assert torch.equal(control[..., 0, :], shuffled[..., 0, :]) and torch.equal(control[..., -1], shuffled[..., -1])


def test_the_thesis_counts() -> None:
    """201 masked images per picture, 6,060 of 30 with the originals; 13 scrambled each, 390."""
    sizes = {p: len(patch_masks(224, 224, p, "checker")) for p in range(10, 80, 10)}
    assert list(sizes.values()) == [121, 36, 16, 9, 4, 4, 4]
    assert sum(count + 1 for count in sizes.values()) == 201 and 30 * (201 + 1) == 6060
    assert [patch_grid(224, 224, p)[::2] for p in range(10, 80, 10)] == [
        (21, 7), (11, 2), (7, 7), (5, 12), (3, 37), (3, 22), (3, 7)]  # fmt: skip
    areas = [round(masked_area(224, 224, p), 3) for p in range(10, 80, 10)]
    assert areas == [0.241, 0.287, 0.287, 0.287, 0.199, 0.287, 0.391]
    assert 30 * (1 + 3 * len([side for side in (112, 56, 32, 28) if 224 % side == 0])) == 390


def test_single_patches_make_up_all() -> None:
    apart = [perturb(images(), Perturbation("mask_single_black", 5, variant=k)) for k in range(9)]
    every = perturb(images(), Perturbation("mask_checker_black", 5))
    assert torch.equal(torch.stack(apart).amin(0), every)
    assert all(not torch.equal(one, every) for one in apart)
    with pytest.raises(UserError, match=r"allowed are the patches 0\.\.8"):
        perturb(images(), Perturbation("mask_single_black", 5, variant=9))


@pytest.mark.parametrize("work", ["shuffle", "rotation"])
def test_a_grid_is_of_blocks_whatever_the_size(work: str) -> None:
    by_blocks = perturb(images(), Perturbation(f"block_{work}", 8.0, 1, 3))
    assert torch.equal(perturb(images(), Perturbation(f"grid_{work}", 4, 1, 3)), by_blocks)
    uneven = perturb(images(side=35), Perturbation(f"grid_{work}", 4, 1, 3))  # 4 blocks of 8, borders of 1 and 2 stay
    inner = images(side=35)[..., 1:33, 1:33]
    assert torch.equal(uneven[..., 1:33, 1:33], perturb(inner, Perturbation(f"block_{work}", 8.0, 1, 3)))
    uneven[..., 1:33, 1:33] = inner
    assert torch.equal(uneven, images(side=35))
    with pytest.raises(UserError, match=f"grid_{work}, level 12: 12x12 whole blocks cover 24 of 32x32 pixels"):
        perturb(images(), Perturbation(f"grid_{work}", 12))


@pytest.mark.parametrize("name", OPERATIONS)
def test_only_what_is_random_has_variants(name: str) -> None:
    one, other = (perturb(images(), Perturbation(name, LEVELS.get(name, 5), k), masks()) for k in (0, 1))
    assert torch.equal(one, other) is not levels.LEVELS[name].random


def test_fills() -> None:
    chosen = patch_masks(32, 32, 5, "checker").any(0).expand_as(images())
    means = images().float().mean((2, 3), keepdim=True).round().to(torch.uint8).expand_as(images())
    assert torch.equal(perturb(images(), Perturbation("mask_checker_mean", 5))[chosen], means[chosen])
    assert not perturb(images(), Perturbation("mask_checker_black", 5))[chosen].any()


def test_bilateral_against_loops() -> None:
    """Pixel by pixel, by the formula."""
    image = images(1, 9).double()
    filtered = bilateral(image, 4, 80.0)
    around = torch.nn.functional.pad(image, [2] * 4, mode="reflect")[0]
    for y, x in ((0, 0), (4, 5), (8, 3)):
        total, weights = torch.zeros(3, dtype=torch.float64), 0.0
        for down in range(-2, 3):
            for right in range(-2, 3):
                if down**2 + right**2 <= 4:
                    there = around[:, y + 2 + down, x + 2 + right]
                    apart = float((there - image[0, :, y, x]).abs().sum())
                    weight = math.exp(-(down**2 + right**2) / (2 * 75**2) - apart**2 / (2 * 80**2))
                    total, weights = total + weight * there, weights + weight
        assert torch.allclose(filtered[0, :, y, x], total / weights, atol=1e-9)


def test_smoothing_and_residual_make_the_image_together() -> None:
    smooth = perturb(images(), Perturbation("smooth", 1)).int()
    residual = perturb(images(), Perturbation("residual", 1)).int()
    assert ((images().int() - smooth).abs() - residual).abs().max() <= 1  # each is rounded by itself
    inverse = perturb(images(), Perturbation("inverse_residual", 1)).int()
    assert (255 - residual - inverse).abs().max() <= 1


def test_low_and_high_pass_make_the_image_together() -> None:
    grey = torch.full((1, 3, 16, 16), 128, dtype=torch.uint8)
    grey[:, :, 4:9, 5:11] = 150
    low = perturb(grey, Perturbation("low_pass", 2)).int()
    high = perturb(grey, Perturbation("high_pass", 2)).int()
    mean = grey.float().mean().item()
    assert (low + high - mean - grey.int()).abs().max() <= 1.01


def test_phase_noise_keeps_the_amplitudes() -> None:
    """As far as bytes can: a mid-grey image of small contrast is cut off nowhere."""
    quiet = (images().float() / 255 * 60 + 98).to(torch.uint8)
    noisy = perturb(quiet, Perturbation("phase_noise", 180)).float()
    before, after = torch.fft.fft2(quiet.float()).abs(), torch.fft.fft2(noisy).abs()
    assert (before - after).abs().mean() < 0.03 * before[..., 1:, 1:].mean()
    assert torch.equal(perturb(quiet, Perturbation("phase_noise", 0)), quiet)
    angle = (torch.fft.fft2(noisy) / torch.fft.fft2(quiet.float())).angle()[..., 3, 5]
    assert angle.std() > 0.5


def test_grey_and_contrast_at_their_ends() -> None:
    grey = perturb(images(), Perturbation("grayscale", 1))
    assert torch.equal(grey[:, 0], grey[:, 1]) and torch.equal(grey[:, 1], grey[:, 2])
    assert torch.equal(perturb(images(), Perturbation("grayscale", 0)), images())
    faded = perturb(images(), Perturbation("contrast", 1))
    assert (faded.flatten(2).amax(2) == faded.flatten(2).amin(2)).all()


def test_silhouette_and_outline() -> None:
    black = perturb(images(), Perturbation("silhouette", 1), masks())
    assert torch.equal(black[:, 0] == 0, masks() != 0)
    drawn = perturb(images(), Perturbation("outline", 1), masks())[0, 0] != 0
    assert int(drawn.sum()) == 2 * 12 + 2 * 14 - 4  # the border of a rectangle of 12 x 14


def test_edges_are_those_of_each_image_alone() -> None:
    """In the frame of the images; one by one with thresholds of numbers, as of the batch."""
    shown = perturb(images(), Perturbation("smooth", 2))
    drawn = perturb(shown, Perturbation("edges", 0.9))
    for image, lines in zip(shown, drawn, strict=True):
        grey = luma(image[None].float())[:, 0].round()
        median = float(grey.double().flatten().quantile(0.5))
        low, high = float(int(max(0.0, (1 - 0.9) * median))), float(int(min(255.0, (1 + 0.9) * median)))
        assert torch.equal(canny(grey, low, high)[0], lines[0] == 255)
    assert set(drawn.unique().tolist()) == {0, 255}


@pytest.mark.parametrize("name", ["edges", "edges_denoised", "edges_sobel", "edges_laplacian"])
def test_the_outline_of_a_square_is_found_where_it_is(name: str) -> None:
    square = torch.full((1, 3, 32, 32), 90, dtype=torch.uint8)
    square[:, :, 8:20, 10:24] = 200
    drawn = perturb(square, Perturbation(name, LEVELS[name]))[0, 0] == 255
    exact = perturb(square, Perturbation("outline", 1), masks(1))[0, 0] == 255
    near = torch.nn.functional.max_pool2d(exact[None, None].float(), 3, 1, 1)[0, 0] == 1
    assert not (drawn & ~near).any(), "no edge is further than a pixel from the outline"
    around = torch.nn.functional.max_pool2d(drawn[None, None].float(), 3, 1, 1)[0, 0] == 1
    assert around[exact].float().mean() > 0.9


def test_non_local_means_against_loops() -> None:
    """Pixel by pixel, by the formula."""
    image = images(1, 12).double()
    made = non_local_means(image, 60.0, template=3, search=5)
    around = torch.nn.functional.pad(image, [3] * 4, mode="reflect")[0]
    for y, x in ((0, 0), (5, 6), (11, 3)):
        total, weights = torch.zeros(3, dtype=torch.float64), 0.0
        here = around[:, y + 2 : y + 5, x + 2 : x + 5]
        for down in range(-2, 3):
            for right in range(-2, 3):
                there = around[:, y + 2 + down : y + 5 + down, x + 2 + right : x + 5 + right]
                weight = math.exp(-float((there - here).square().mean()) / 60.0**2)
                total, weights = total + weight * there[:, 1, 1], weights + weight
        assert torch.allclose(made[0, :, y, x], total / weights, atol=1e-9)


def test_non_local_means_take_noise_and_leave_edges() -> None:
    clean = torch.full((1, 1, 32, 32), 60.0)
    clean[..., 16:] = 180
    noisy = clean + 10 * torch.randn(clean.shape, generator=torch.Generator().manual_seed(0))
    made = non_local_means(noisy, 30.0)
    assert (made - clean).square().mean() < 0.1 * (noisy - clean).square().mean()
    assert non_local_means(noisy[..., :8, :8], 30.0).shape == (1, 1, 8, 8), "smaller than the search"


@pytest.mark.parametrize(
    ("how", "said"),
    [
        (Perturbation("block_shufle", 8), "did you mean 'block_shuffle'"),
        (Perturbation("block_shuffle", 5), "blocks of 5 pixels do not fill 32x32"),
        (Perturbation("block_shuffle", 2.5), "allowed are whole numbers from 1"),
        (Perturbation("grayscale", 1.5), "grayscale, level 1.5: allowed are numbers from 0 to 1"),
        (Perturbation("mask_checker_mean", 40), "patches of 40 pixels do not fit 32x32"),
        (Perturbation("silhouette", 1), "the data has no masks of objects"),
        (Perturbation("grayscale", 1, region="inside"), "the data has no masks of objects"),
    ],
)
def test_what_cannot_be_is_told(how: Perturbation, said: str) -> None:
    with pytest.raises(UserError, match=said):
        perturb(images(), how)
