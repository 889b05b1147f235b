"""The four noises. Each takes float values (n, C, H, W) of 0..255, which it may overwrite, and a CPU generator."""

from __future__ import annotations

import torch
from torch import Tensor


def gaussian_noise(values: Tensor, generator: torch.Generator, std: float) -> Tensor:
    """Every value plus a number of N(0, std)."""
    return values.add_(torch.randn(values.shape, generator=generator).to(values.device), alpha=255 * std)


def shot_noise(values: Tensor, generator: torch.Generator, photons: float) -> Tensor:
    """Counts of a Poisson process, on average `photons` where the value is the largest."""
    means = values.mul_(photons / 255).cpu()  # on the CPU, whose generator it is
    return torch.poisson(means, generator=generator).mul_(255 / photons).to(values.device)


def impulse_noise(values: Tensor, generator: torch.Generator, share: float) -> Tensor:
    """A share of the values becomes 0 or 255, as many one as the other."""
    drawn = torch.rand(values.shape, generator=generator).to(values.device)
    return values.masked_fill_(drawn < share / 2, 0).masked_fill_(drawn >= 1 - share / 2, 255)


def speckle_noise(values: Tensor, generator: torch.Generator, std: float) -> Tensor:
    """Every value times a number of N(1, std)."""
    return values.mul_(torch.randn(values.shape, generator=generator).mul_(std).add_(1).to(values.device))
