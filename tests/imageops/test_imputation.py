"""Imputation by hand, and against a factorisation of the same system."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import sparse
from scipy.sparse.linalg import spsolve

from src.core.errors import UserError
from src.imageops.imputation import imputed


def solved(image: np.ndarray, missing: np.ndarray) -> np.ndarray:
    """One channel, equation by equation."""
    height, width = image.shape
    system, right = sparse.lil_matrix((height * width, height * width)), np.zeros(height * width)
    for row in range(height):
        for column in range(width):
            place = row * width + column
            system[place, place] = 1
            if not missing[row, column]:
                right[place] = image[row, column]
                continue
            around = {
                (y, x): 1 / 6 if y == row or x == column else 1 / 12
                for y in range(max(0, row - 1), min(height, row + 2))
                for x in range(max(0, column - 1), min(width, column + 2))
                if (y, x) != (row, column)
            }
            for (y, x), weight in around.items():
                system[place, y * width + x] = -weight / sum(around.values())
    return spsolve(system.tocsr(), right).reshape(height, width)


def test_one_pixel_is_the_mean_of_its_neighbours() -> None:
    image = torch.tensor([[[[0.1, 0.2, 0.3], [0.4, 9, 0.6], [0.7, 0.8, 0.9]]]])
    missing = torch.zeros(1, 3, 3, dtype=torch.bool)
    missing[0, 1, 1] = True
    middle = imputed(image, missing)[0, 0, 1, 1].item()
    assert middle == pytest.approx((2 * (0.2 + 0.4 + 0.6 + 0.8) + 0.1 + 0.3 + 0.7 + 0.9) / 12)
    corner = imputed(torch.tensor([[[[9, 0.2], [0.4, 0.7]]]]), torch.tensor([[[True, False], [False, False]]]))
    assert corner[0, 0, 0, 0].item() == pytest.approx((2 * 0.2 + 2 * 0.4 + 0.7) / 5)


def test_a_row_is_filled_by_a_line() -> None:
    image = torch.tensor([[[[0.0, 8, 8, 0.9]]]])
    filled = imputed(image, torch.tensor([[[False, True, True, False]]]))
    assert torch.allclose(filled, torch.tensor([[[[0, 0.3, 0.6, 0.9]]]]), atol=1e-6)


@pytest.mark.parametrize("share", [0.2, 0.9, 0.99])
def test_it_is_the_solution_of_the_linear_system(share: float) -> None:
    generator = torch.Generator().manual_seed(1)
    images = torch.rand(3, 2, 12, 15, generator=generator)
    missing = torch.rand(3, 12, 15, generator=generator) < share
    missing[:, 3, 4] = False
    missing[0] = torch.ones(12, 15).triu() > 0  # a hole in one piece
    filled = imputed(images, missing)
    for image, holes, made in zip(images.double().numpy(), missing.numpy(), filled, strict=True):
        expected = np.stack([solved(channel, holes) for channel in image])
        assert np.abs(made.numpy() - expected).max() < 1e-3
    assert torch.equal(filled[~missing[:, None].expand_as(filled)], images[~missing[:, None].expand_as(filled)])


def test_what_lies_under_a_hole_is_not_read_and_nothing_is_written() -> None:
    images = torch.rand(2, 3, 6, 6, generator=torch.Generator().manual_seed(2))
    missing = torch.zeros(2, 6, 6, dtype=torch.bool)
    missing[:, 1:4, 2:6] = True
    before = images.clone()
    hidden = images.masked_fill(missing[:, None], torch.nan)
    assert torch.equal(imputed(images, missing), imputed(hidden, missing))
    assert torch.equal(images, before)


def test_an_image_without_holes_stays_beside_one_with_many() -> None:
    images = torch.rand(2, 1, 8, 8, generator=torch.Generator().manual_seed(3))
    missing = torch.zeros(2, 8, 8, dtype=torch.bool)
    missing[1, 1:] = True
    filled = imputed(images, missing)
    assert torch.equal(filled[0], images[0]) and filled.isfinite().all()
    assert images[1, :, 0].min() <= filled[1].min() and filled[1].max() <= images[1, :, 0].max()


def test_nothing_to_fill_from_is_refused() -> None:
    with pytest.raises(UserError, match="remove fewer"):
        imputed(torch.zeros(2, 1, 2, 2), torch.tensor([[[True, True], [True, True]], [[True, False], [True, True]]]))


def test_parts_do_not_change_what_is_filled(monkeypatch: pytest.MonkeyPatch) -> None:
    generator = torch.Generator().manual_seed(4)
    images, missing = torch.rand(5, 3, 9, 9, generator=generator), torch.rand(5, 9, 9, generator=generator) < 0.6
    together = imputed(images, missing)
    monkeypatch.setattr("src.imageops.imputation.CACHED", 2 * 3 * 81)  # two images a part
    apart = imputed(images, missing)
    assert apart.shape == images.shape and torch.allclose(apart, together, atol=1e-4)
