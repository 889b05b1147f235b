"""Whitening against the formulas in numpy, and against what it is for: unit variance, identity covariance."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from src.core.errors import UserError
from src.imageops.whitening import Whitening

SHAPE = (3, 4, 5)


def correlated(count: int, seed: int = 0) -> Tensor:
    """Images whose pixels depend on each other, uint8 (count, 3, 4, 5)."""
    generator = torch.Generator().manual_seed(seed)
    hidden = torch.randn(count, 60, generator=generator)
    mixed = hidden @ torch.randn(60, 60, generator=torch.Generator().manual_seed(1))
    return (128 + 8 * mixed).round().clamp(0, 255).to(torch.uint8).view(count, *SHAPE)


def by_formula(fitted_to: Tensor, images: Tensor, kind: str, eps: float = 1e-3, rule: str = "clamp") -> np.ndarray:
    """Of pixel values 0..255, with one feature after another."""
    train = fitted_to.numpy().reshape(len(fitted_to), -1).astype(np.float64)
    mean, std = train.mean(0), np.maximum(1.0, train.std(0))
    standard = (train - mean) / std
    values = (images.numpy().reshape(len(images), -1) - mean) / std
    if kind == "zca":
        u, s, _ = np.linalg.svd(standard.T @ standard / (len(train) - 1))
        s = np.maximum(eps, s) if rule == "clamp" else s + eps
        values = values @ (u @ np.diag(s**-0.5) @ u.T)
    return values.reshape(images.shape)


@pytest.mark.parametrize("count", [40, 3000])  # fewer and more images than values; several chunks
@pytest.mark.parametrize(
    "options", [{"kind": "per_pixel"}, {"kind": "zca"}, {"kind": "zca", "rule": "add", "eps": 0.1}]
)
def test_equals_the_formula(count: int, options: dict[str, Any]) -> None:
    train, images = correlated(count), correlated(20, seed=2)
    kind = options["kind"]
    whitening = Whitening.fit(train, **options)
    found = whitening(images / 255)
    expected = by_formula(train, images, **options)
    assert found.dtype == torch.float32 and whitening.kind == kind
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-4 * abs(expected).max())


@pytest.mark.parametrize("count", [2, 40, 59, 60, 90])
@pytest.mark.parametrize("options", [{"rule": "clamp"}, {"rule": "add"}, {"rule": "clamp", "eps": 2.0}])
def test_the_smaller_matrix_is_decomposed_and_the_whitening_is_the_same(
    count: int, options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    decompose, seen = torch.linalg.eigh, []

    def counted(matrix: Tensor) -> tuple[Tensor, Tensor]:
        seen.append(len(matrix))
        return decompose(matrix)

    monkeypatch.setattr(torch.linalg, "eigh", counted)
    images = correlated(count)
    images[:, 0, 0, 0] = 7  # without variance
    found = Whitening.fit(images, "zca", **options).matrix
    assert found is not None and seen == [min(count, 60)]
    # all directions that the images do not span keep eps^-1/2
    standard = by_formula(images, images, "per_pixel").reshape(count, 60)
    s, u = np.linalg.eigh(standard.T @ standard / (count - 1))
    eps = options.get("eps", 1e-3)
    bounded = np.maximum(eps, s) if options["rule"] == "clamp" else np.maximum(0, s) + eps
    expected = (u * bounded**-0.5) @ u.T
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-6 * eps**-0.5, rtol=0)
    again = Whitening.fit(images.clone(), "zca", **options).matrix
    assert again is not None and torch.equal(found, again)


def test_whitened_values_have_unit_variance_and_no_correlation() -> None:
    images = correlated(3000)
    for kind in ("per_pixel", "zca"):
        values = Whitening.fit(images, kind)(images / 255).flatten(1).double()
        torch.testing.assert_close(values.mean(0), torch.zeros(60).double(), atol=1e-5, rtol=0)
        torch.testing.assert_close(values.var(0, correction=0), torch.ones(60).double(), atol=1e-3, rtol=0)
        off = values.T @ values / 2999 - torch.eye(60)
        assert float(off.abs().max()) < 1e-3 if kind == "zca" else float(off.abs().max()) > 0.1


def test_a_pixel_that_never_varies_is_not_blown_up() -> None:
    images = correlated(50)
    images[:, 0, 0, 0] = 7
    for kind in ("per_pixel", "zca"):
        whitening = Whitening.fit(images, kind)
        other = images.clone()
        other[:, 0, 0, 0] = 8  # by one grey level, which is the least standard deviation
        moved = whitening(other / 255) - whitening(images / 255)
        largest = 1.0 if kind == "per_pixel" else 1e-3**-0.5
        torch.testing.assert_close(moved[:, 0, 0, 0], torch.full((50,), largest), atol=1e-2 * largest, rtol=0)


def test_memory_format_is_kept_and_the_state_can_be_loaded() -> None:
    images = correlated(100)
    for kind in ("per_pixel", "zca"):
        whitening = Whitening.fit(images, kind)
        last = (images / 255).contiguous(memory_format=torch.channels_last)
        made = whitening(last)
        assert made.is_contiguous(memory_format=torch.channels_last)
        torch.testing.assert_close(made, whitening(images / 255))
        again = Whitening.empty(**whitening.plain())
        torch.testing.assert_close(again(images / 255), images / 255)
        again.load_state_dict(whitening.state_dict())
        assert torch.equal(again(last), made) and not list(again.parameters())


def test_images_that_cannot_be_whitened() -> None:
    with pytest.raises(UserError, match="1 images have no variance"):
        Whitening.fit(correlated(1), "per_pixel")
    large = torch.zeros(2, 3, 65, 64, dtype=torch.uint8)
    with pytest.raises(UserError, match="have 12480 values, and at most 12288"):
        Whitening.fit(large, "zca")
    assert Whitening.fit(large, "per_pixel").kind == "per_pixel"
