from __future__ import annotations

import math

import pytest
import torch

from src.methods.robustness.corruptions import NAMES
from src.methods.robustness.mce import corruption_errors, relative_corruption_errors

#: accuracies in percent on CIFAR-100-C, severities 1 to 5, of a composed network and of a benchmark (thesis of
#: L. Friedrichsen, 2020), and the corruption error of the one against the other
TABLE = {
    "gaussian_noise": ("21.2 17.4 14.6 13.1 12.6", "29.6 23.5 19.8 18.4 17.3", 107.6),
    "shot_noise": ("23.5 20.4 16.5 15.0 13.1", "33.4 28.9 22.8 20.5 17.8", 109.2),
    "impulse_noise": ("24.5 20.8 18.3 13.9 11.7", "36.9 29.1 24.0 17.9 14.6", 108.8),
    "speckle_noise": ("23.1 18.5 17.5 14.9 13.6", "34.0 26.6 24.9 20.6 18.3", 109.8),
    "defocus_blur": ("32.5 32.0 30.9 27.2 21.9", "49.5 47.8 46.1 40.0 30.8", 124.4),
    "gaussian_blur": ("32.7 30.8 28.8 26.5 21.8", "49.5 45.8 43.1 39.7 33.1", 124.5),
    "glass_blur": ("21.4 21.9 21.6 19.1 19.1", "31.2 31.0 30.4 27.4 26.5", 112.3),
    "motion_blur": ("28.8 26.8 25.3 25.7 23.6", "43.0 39.3 36.3 37.1 34.2", 119.2),
    "zoom_blur": ("30.8 29.0 27.8 26.7 25.4", "46.2 43.7 42.1 40.4 37.7", 124.2),
    "snow": ("28.1 24.6 24.8 23.6 22.2", "42.5 34.9 36.1 34.8 32.5", 118.0),
    "frost": ("27.9 25.9 22.7 23.0 20.5", "42.2 38.2 33.1 32.8 28.9", 116.9),
    "fog": ("32.7 32.0 31.2 29.3 23.8", "48.9 47.5 45.7 42.6 34.2", 124.8),
    "brightness": ("32.5 32.5 31.9 31.4 30.2", "49.9 49.7 49.1 48.5 46.1", 133.1),
    "contrast": ("32.6 32.4 31.6 30.3 25.1", "49.2 47.5 46.1 44.3 36.5", 126.0),
    "saturate": ("30.3 26.3 33.1 31.2 27.8", "46.8 41.3 49.5 45.9 41.5", 127.8),
    "elastic_transform": ("27.2 27.7 27.1 24.2 22.3", "41.9 43.2 41.5 39.1 34.2", 123.8),
    "jpeg_compression": ("25.5 21.0 19.8 18.6 16.9", "40.2 34.2 32.2 30.8 28.6", 119.3),
    "pixelate": ("31.4 29.9 28.6 25.4 21.5", "48.0 46.5 44.6 39.7 33.1", 126.1),
    "spatter": ("29.9 26.9 24.3 24.1 20.2", "45.7 40.1 34.7 36.7 29.7", 119.7),
}
COMPOSED, BENCHMARK = (
    torch.tensor([[100 - float(number) for number in row[column].split()] for row in TABLE.values()])
    for column in (0, 1)
)


def test_the_table_is_of_our_corruptions_in_our_order() -> None:
    assert tuple(TABLE) == NAMES


def test_figures_of_the_thesis() -> None:
    each = 100 * corruption_errors(COMPOSED, BENCHMARK)
    assert each.tolist() == pytest.approx([row[2] for row in TABLE.values()], abs=0.1)
    assert float(each.mean()) == pytest.approx(119.8, abs=0.05)
    relative = 100 * relative_corruption_errors(COMPOSED, 100 - 35.26, BENCHMARK, 100 - 53.19)
    assert float(relative.mean()) == pytest.approx(64.8, abs=0.2)


def test_sums_are_divided_not_shares() -> None:
    errors, reference = torch.tensor([[0.1, 0.5]]), torch.tensor([[0.2, 0.8]])
    assert corruption_errors(errors, reference).tolist() == pytest.approx([0.6])
    assert relative_corruption_errors(errors, 0.1, reference, 0.2).tolist() == pytest.approx([0.4 / 0.6])


def test_resamples_stay_in_front() -> None:
    generator = torch.Generator().manual_seed(0)
    errors, reference = torch.rand(2, 7, 3, 5, generator=generator)
    clean, other = torch.rand(2, 7, generator=generator)
    each, relative = corruption_errors(errors, reference), relative_corruption_errors(errors, clean, reference, other)
    assert each.shape == relative.shape == (7, 3)
    assert torch.equal(each[4], corruption_errors(errors[4], reference[4]))
    own = relative_corruption_errors(errors[4], float(clean[4]), reference[4], float(other[4]))
    torch.testing.assert_close(relative[4], own)


def test_a_reference_without_errors_has_no_share() -> None:
    found = corruption_errors(torch.tensor([[0.0], [0.5]]), torch.zeros(2, 1))
    assert math.isnan(found[0]) and math.isinf(found[1])


def test_a_loss_of_nothing_but_rounding_is_no_loss() -> None:
    errors, clean = torch.tensor([[0.1, 0.2, 0.3]]), torch.tensor(0.1)
    third = torch.tensor([[0.1, 0.3, 0.2]]) / 3 * 3 + torch.tensor([[1e-9, -1e-9, 0.0]])
    assert not relative_corruption_errors(errors, clean, third, third.double().mean()).isfinite().any()
