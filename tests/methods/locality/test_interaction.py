"""Interaction and reliance on networks whose answer is known."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from src.methods.locality.grids import patch_masks
from src.methods.locality.interaction import interaction
from src.methods.locality.perturbations import Perturbation, perturb
from src.methods.locality.reliance import area, calibrate, reliance
from src.statistics.bootstrap import bootstrap_weights


def weights(images, resamples):
    return bootstrap_weights(images, resamples=resamples, seed=0).double() / images


class Local(nn.Module):
    """Valid-padded convolutions (receptive field 5), logits averaged over places: adds up local evidence."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layers = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Conv2d(8, 8, 3), nn.ReLU(), nn.Conv2d(8, 4, 1))

    def forward(self, images):
        return self.layers(images).mean((2, 3))


def drops(model, images, side):
    masks = patch_masks(*images.shape[2:], side, "checker").to(images.dtype)
    with torch.no_grad():
        clean = model(images)[:, 0]
        singles = torch.stack([model(images * (1 - mask))[:, 0] for mask in masks], 1)
        together = model(images * (1 - masks.amax(0)))[:, 0]
    return clean, singles, together


def test_a_local_network_adds_up() -> None:
    images = torch.rand(6, 3, 28, 28, dtype=torch.float64)
    clean, singles, together = drops(Local().double(), images, 5)  # patches 5 apart, farther than its field of 5
    assert torch.allclose((clean[:, None] - singles).sum(1), clean - together, atol=1e-5)
    found = interaction(clean, singles, together, 0.3, weights(6, 100))
    assert found.ratio.value == pytest.approx(1, abs=1e-5) and found.ratio.low == pytest.approx(1, abs=1e-4)
    assert found.patches == 9


def test_a_global_network_does_not() -> None:
    images = torch.rand(6, 3, 28, 28, dtype=torch.float64) + 0.5

    def product(x):  # the logit is the square of all light
        return x.mean((1, 2, 3), keepdim=True)[:, :, 0, 0] ** 2

    clean, singles, together = drops(product, images, 5)
    assert interaction(clean, singles, together, 0.3, weights(6, 100)).ratio.value > 1.1


def test_one_by_one_convolutions_do_not_see_a_shuffle() -> None:
    model = nn.Sequential(nn.Conv2d(3, 8, 1), nn.ReLU(), nn.Conv2d(8, 4, 1)).double()
    raw = torch.randint(0, 256, (4, 3, 32, 32)).to(torch.uint8)
    shuffled = perturb(raw, Perturbation("block_shuffle", 4))
    with torch.no_grad():
        before, after = (model(images.double()).mean((2, 3)) for images in (raw, shuffled))
    assert torch.allclose(before, after, atol=1e-9)


def test_reliance_by_hand() -> None:
    clean = torch.tensor([True] * 8 + [False] * 2)
    suppressed = torch.tensor([True] * 3 + [False] * 7)
    found = reliance(clean, suppressed, 0.1, weights(10, 300))
    assert found.drop.value == pytest.approx(0.5 / 0.7) and found.accuracy.value == pytest.approx(0.3)
    assert found.drop.low < found.drop.value < found.drop.high
    assert reliance(clean, clean, 0.1, weights(10, 50)).drop.value == 0
    assert math.isnan(reliance(~clean, suppressed, 0.25, weights(10, 50)).drop.value)


def test_area_under_a_curve() -> None:
    assert area([0, 1, 2], [0.9, 0.9, 0.9], 0.1) == pytest.approx(1)
    assert area([0, 1, 3], [0.9, 0.5, 0.1], 0.1) == pytest.approx((0.75 + 2 * 0.25) / 3)
    assert math.isnan(area([0, 1], [0.1, 0.1], 0.1))


def test_the_level_is_the_least_that_suppresses_and_spares() -> None:
    accuracies = {"shape": [0.9, 0.5, 0.12, 0.1], "texture": [0.9, 0.9, 0.88, 0.2], "colour": [0.9] * 4}
    clean = dict.fromkeys(accuracies, 0.9)
    found = calibrate("shape", [1, 2, 4, 8], accuracies, clean, 0.1)
    assert found.level == 4 and found.admitted and found.losses["texture"] == pytest.approx(0.02)
    assert not calibrate("shape", [1, 2, 4, 8], {**accuracies, "texture": [0.9, 0.9, 0.8, 0.2]}, clean, 0.1).admitted
    assert calibrate("colour", [1, 2, 4, 8], accuracies, clean, 0.1).level is None
