"""Whitening: every value of an image standardised over a set of images, or all of them decorrelated as well (ZCA).

``per_pixel`` subtracts the mean image and divides by the standard deviation of each pixel and channel. ``zca`` turns
the result so that its covariance is the identity, by the matrix that changes it least: ``U diag(f(s)) U^T`` of the
covariance ``U diag(s) U^T`` (Bell and Sejnowski 1997; Krizhevsky 2009). The small eigenvalues are bounded from below:
``clamp``: f(s) = max(eps, s)^-1/2, as in the thesis on modular networks (L. Friedrichsen 2020); ``add``:
f(s) = (s + eps)^-1/2. Of N images with more values than that, all but N of the eigenvalues are 0, and the others are
those of the N x N products of the images.
"""

from collections.abc import Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn

from src.core.errors import UserError

WHITENINGS = ("per_pixel", "zca")
Rule = Literal["clamp", "add"]
CHUNK = 1024  # images; their products of whole numbers in -128..127 sum to below 2^24, so float32 holds them exactly
LARGEST = 12_288  # values per image (3x64x64): the covariance then takes 1.2 GB
FLOOR = 1 / 255
"""Least standard deviation of a pixel, one grey level. The thesis takes a thousandth of it, which changes nothing where
all pixels vary, and blows up a pixel that is constant in the set."""


class Whitening(nn.Module):
    """Images float (n, C, H, W) of values in 0..1 -> float32 (n, C, H, W), in the memory format they have.

    Buffers, which are the state that is saved: ``mean`` and ``scale`` (C, H, W), and ``matrix`` (D, D) of a zca.
    """

    def __init__(self, mean: Tensor, scale: Tensor, matrix: Tensor | None = None) -> None:
        super().__init__()
        self.mean: Tensor
        self.scale: Tensor
        self.matrix: Tensor | None
        self.register_buffer("mean", mean.float())
        self.register_buffer("scale", scale.float())
        self.register_buffer("matrix", None if matrix is None else matrix.float())

    @classmethod
    def empty(cls, kind: str, input_shape: Sequence[int]) -> "Whitening":
        """One that changes nothing, to load a state into."""
        _check(kind, input_shape)
        mean = torch.zeros(*input_shape)
        return cls(mean, torch.ones_like(mean), torch.eye(mean.numel()) if kind == "zca" else None)

    @classmethod
    @torch.no_grad()
    def fit(cls, images: Tensor, kind: str, *, eps: float = 1e-3, rule: Rule = "clamp") -> "Whitening":
        """By the statistics of a set, on its device; sums are exact, the rest is float64.

        Args:
            images: uint8 (N, C, H, W).
            kind: ``per_pixel`` or ``zca``.
            eps: of the eigenvalues of a zca, whose mean is 1.

        Raises:
            UserError: there are fewer than two images, or they are too large for a zca.
        """
        shape = tuple(images.shape[1:])
        _check(kind, shape)
        count = len(images)
        if count < 2:
            raise UserError(f"data.contrast={kind}: {count} images have no variance; give at least two")
        by_covariance = kind == "zca" and count >= images[0].numel()
        total, products = _sums(images, covariances=by_covariance)
        mean = total / count
        variance = (products.diagonal() if by_covariance else products[0]) / count - mean.square()
        scale = 1 / variance.clamp(min=0).sqrt().clamp(min=255 * FLOOR)
        matrix = None
        if by_covariance:
            covariance = products.sub_(count * mean.outer(mean)).div_(count - 1) * scale.outer(scale)
            matrix = _by_covariance(covariance, eps, rule)
        elif kind == "zca":
            matrix = _by_products((images.flatten(1).double() - 128 - mean) * scale, eps, rule)
        return cls(((mean + 128) / 255).view(shape), (255 * scale).view(shape), matrix)

    @property
    def kind(self) -> str:
        return "per_pixel" if self.matrix is None else "zca"

    def plain(self) -> dict[str, Any]:
        """What :meth:`empty` takes, to rebuild it."""
        return {"kind": self.kind, "input_shape": list(self.mean.shape)}

    def forward(self, images: Tensor) -> Tensor:
        # centred before the product, which would lose digits else
        values = (images.float() - self.mean) * self.scale
        if self.matrix is None:
            return values
        turned = (values.reshape(len(values), -1) @ self.matrix).view(values.shape)
        last = images.is_contiguous(memory_format=torch.channels_last) and not images.is_contiguous()
        return turned.contiguous(memory_format=torch.channels_last) if last else turned


def _sums(images: Tensor, *, covariances: bool) -> tuple[Tensor, Tensor]:
    """float64 (D,): the sum of each value minus 128; and (D, D): of the products of two, or (1, D): of the squares."""
    values = images[0].numel()
    total = torch.zeros(values, dtype=torch.float64, device=images.device)
    products = torch.zeros(values if covariances else 1, values, dtype=torch.float64, device=images.device)
    for chunk in images.split(CHUNK):
        centred = chunk.reshape(len(chunk), -1).float() - 128
        total += centred.sum(0, dtype=torch.float64)
        products += centred.T @ centred if covariances else centred.square().sum(0, keepdim=True)
    return total, products


def _by_covariance(covariance: Tensor, eps: float, rule: Rule) -> Tensor:
    """``U diag(f(s)) U^T`` of float64 (D, D)."""
    spread, vectors = torch.linalg.eigh(covariance)
    bounded = _bounded(spread, eps, rule)
    return (vectors * bounded.rsqrt()) @ vectors.T


def _by_products(values: Tensor, eps: float, rule: Rule) -> Tensor:
    """The same of standardised images float64 (N, D), from their products (N, N).

    With the eigenvectors V of these, ``U = X^T V s^-1/2``, so that the matrix is
    ``f(0) I + X^T V diag((f(s) - f(0)) / s) V^T X``.
    """
    rows = values / (len(values) - 1) ** 0.5
    spread, vectors = torch.linalg.eigh(rows @ rows.T)
    bounded = _bounded(spread, eps, rule)
    low, root = eps**0.5, bounded.sqrt()
    # (f(s) - f(0)) / s = (eps - bounded) / (s sqrt(bounded eps) (sqrt(bounded) + sqrt(eps))): digits are kept at s = 0
    share = (bounded - eps) / spread.clamp(min=eps) if rule == "clamp" else 1.0
    weights = -share / (root * low * (root + low))
    turned = vectors.T @ rows
    matrix = (turned.T * weights) @ turned
    matrix.diagonal().add_(1 / low)
    return matrix


def _bounded(spread: Tensor, eps: float, rule: Rule) -> Tensor:
    return spread.clamp(min=eps) if rule == "clamp" else spread.clamp(min=0) + eps


def _check(kind: str, input_shape: Sequence[int]) -> None:
    values = input_shape[0] * input_shape[1] * input_shape[2]
    if kind == "zca" and values > LARGEST:
        raise UserError(
            f"data.contrast=zca: images of {'x'.join(map(str, input_shape))} have {values} values, and at most "
            f"{LARGEST} can be decorrelated; take data.contrast=per_pixel"
        )


def global_contrast(images: Tensor) -> Tensor:
    """Global contrast normalisation: each image minus its mean, over its standard deviation, over all its values.

    Args:
        images: uint8 (n, C, H, W).

    Returns:
        float32 (n, C, H, W) with mean 0 and, but for an image of one single value, standard deviation 1.
    """
    # sums of whole numbers are exact: an image of one value becomes 0, not its rounding error over 1e-8
    total = images.sum((1, 2, 3), keepdim=True, dtype=torch.int64)
    centred = (images - (total.double() / images[0].numel()).float()) / 255
    return centred / centred.square().mean((1, 2, 3), keepdim=True).sqrt().clamp(min=1e-8)
