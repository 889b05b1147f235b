"""Removal: does the class go when the pixels go that a map calls relevant?

After ROAD (Rong et al. 2022, arXiv:2202.00449): pixels are removed in the order of a map, the most relevant first and
the least relevant first, and what is removed is filled by noisy linear imputation, so that its shape does not itself
show the class. The area between both curves is positive for a map that knows what the network needs. No network is
trained anew.

The linear systems are solved for whole batches by conjugate gradients on the images' device
(``src.imageops.imputation``), and not one by one by a sparse factorisation on the CPU.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from src.core.errors import UserError
from src.core.seeds import drawn, uniform
from src.core.shown import Shown
from src.imageops.imputation import imputed

SHARES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)


@dataclass(frozen=True)
class Removal(Shown):
    """Curves of k maps of each of n images; NaN where a map has a value that is not finite.

    Attributes:
        shares: S + 1 shares of the pixels that are removed, 0 first.
        most, least: float64 (k, n, S + 1), probability of the target class, the most or least relevant pixels removed.
        most_right, least_right: float64 (k, n, S + 1), 1 where the target class is the predicted one, else 0.
    """

    shares: tuple[float, ...]
    most: Tensor
    least: Tensor
    most_right: Tensor
    least_right: Tensor

    @property
    def area(self) -> Tensor:
        """float64 (k, n) of -1..1: mean over shares of the probability, least first less most first; 0 is chance."""
        shares = torch.tensor(self.shares, dtype=self.most.dtype, device=self.most.device)
        return torch.trapezoid(self.least - self.most, shares, dim=2) / self.shares[-1]


def removal(
    predict: Callable[[Tensor], Tensor], images: Tensor, targets: Tensor, maps: Tensor, *,
    seed: int, sigma: float = 0.01, shares: Sequence[float] = SHARES, batch: int = 256,
) -> Removal:  # fmt: skip
    """Remove pixels by each of several maps, and ask the network.

    Controls are maps like others: random, Sobel, centre, blurred. All see the same noise, and the images as they are
    are predicted once. Pixels that tie are removed in a random order, the same for all maps; an image's order and
    noise are a pure function of the seed and of its number.

    Args:
        predict: images of the type and range that were given -> logits (b, N), on their device.
        images: uint8, or float of 0..1 (n, C, H, W).
        targets: int64 (n,), the class whose probability is followed.
        maps: float (k, n, H, W), on the images' device.
        sigma: standard deviation of the Gaussian noise on filled pixels, of the range 0..1.
        shares: of the pixels that are removed, rising.
        batch: images that are filled and predicted at once.

    Raises:
        UserError: the shares do not each take more pixels than the one before, or leave none.
    """
    count, channels, height, width = images.shape
    pixels = height * width
    removed = [round(share * pixels) for share in shares]
    if not removed or sorted({*removed}) != removed or removed[0] < 1 or removed[-1] >= pixels:
        raise UserError(
            f"shares={list(shares)} of {pixels} pixels are {removed}: allowed are "
            f"rising numbers from 1 to {pixels - 1}; take other shares"
        )
    numbers = torch.arange(count, device=images.device)
    noise = sigma * _normal(numbers, channels * pixels, seed).view(images.shape)
    values = images.float() / 255 if images.dtype == torch.uint8 else images
    clean = _answers(map(predict, images.split(batch)), targets)  # (2, n)
    order = drawn(numbers, pixels, seed, "removal order").argsort(1)
    sizes = torch.tensor(removed, device=images.device)
    answers = []
    for ranks in (_ranks(each.flatten(1), order) for each in maps):
        parts = _without(values, noise, ranks, sizes, batch)
        inputs = (_as_given(part, images) for part in parts)
        rows = targets.repeat(2 * len(sizes))
        answers.append(_answers(map(predict, inputs), rows).view(2, len(sizes), 2, count))
    stacked = torch.stack(answers)  # (k, probability or right, S, most or least, n)
    start = clean[None, :, None, None].expand(len(maps), -1, 1, 2, -1)
    curves = torch.cat([start, stacked], 2).permute(1, 3, 0, 4, 2)
    finite = maps.flatten(2).isfinite().all(2)[..., None]
    (most, least), (most_right, least_right) = curves.where(finite, torch.nan)
    return Removal((0.0, *(size / pixels for size in removed)), most, least, most_right, least_right)


def _ranks(values: Tensor, order: Tensor) -> Tensor:
    """int64 (n, pixels): 0 the most relevant pixel; those that tie in the given random order."""
    by_relevance = order.gather(1, values.gather(1, order).argsort(dim=1, descending=True, stable=True))
    places = torch.arange(values.shape[1], device=values.device).expand_as(order)
    return torch.empty_like(order).scatter_(1, by_relevance, places)


def _without(values: Tensor, noise: Tensor, ranks: Tensor, sizes: Tensor, batch: int) -> Iterator[Tensor]:
    """float (b, C, H, W) each of 0..1: for each size the images without their most, then without their least relevant.

    Args:
        values, noise: float (n, C, H, W). ranks: int64 (n, pixels). sizes: int64 (S,), how many pixels are removed.
    """
    count, pixels = ranks.shape
    for rows in torch.arange(2 * len(sizes) * count, device=values.device).split(batch):
        number, least_first, size = rows % count, rows // count % 2 == 1, sizes[rows // (2 * count)]
        rank = ranks[number]
        rank = torch.where(least_first[:, None], pixels - 1 - rank, rank)
        missing = (rank < size[:, None]).view(-1, *values.shape[2:])
        filled = imputed(values[number], missing)
        yield torch.where(missing[:, None], (filled + noise[number]).clamp_(0, 1), filled)


def _as_given(values: Tensor, images: Tensor) -> Tensor:
    """Of 0..1, as bytes where the images are."""
    return (255 * values).round_().to(torch.uint8) if images.dtype == torch.uint8 else values.to(images.dtype)


def _answers(logits: Iterator[Tensor], targets: Tensor) -> Tensor:
    """float64 (2, rows): the target's probability, and 1 where it is the predicted class."""
    together = torch.cat(list(logits)).double()
    probability = together.softmax(1).gather(1, targets[:, None])[:, 0]
    return torch.stack([probability, (together.argmax(1) == targets).double()])


def _normal(numbers: Tensor, count: int, seed: int) -> Tensor:
    """float32 (n, count) of a standard normal distribution; row i is a pure function of the seed and of number i."""
    shares = uniform(numbers, count, seed, "removal noise").clamp_(min=2**-25)  # 0 would be infinitely far
    return torch.erfinv(2 * shares - 1).mul_(math.sqrt(2))
