"""How many images and transformations a measure needs: NV of parts of them against that of all."""

from collections.abc import Mapping, Sequence
from math import nan
from typing import NamedTuple

import torch
from torch import Tensor

from src.core.errors import UserError
from src.core.seeds import stream
from src.methods.invariance.ratio import mean_of_finite, ratios

ALL_LAYERS = "mean over layers"


class SampleSizeRow(NamedTuple):
    """``value``: mean NV of the part; ``error``: its distance to that of all, relative to the sum of the two sizes."""

    layer: str
    images: int
    transformations: int
    repeat: int
    value: float
    error: float


def sample_size(
    activations: Mapping[str, Tensor],
    images: Sequence[int],
    transformations: Sequence[int],
    *,
    repeats: int = 5,
    seed: int = 0,
) -> list[SampleSizeRow]:
    """Every layer, and their mean, of random parts: every number of images with every number of transformations.

    A part is drawn without replacement, the same for all layers, ``repeats`` times.

    Args:
        activations: of each layer, float (S, T, m), as `LayerVariance.kept`.
        images: numbers of them, 2..S.
        transformations: numbers of them, 2..T.

    Raises:
        UserError: a number that is not allowed.
    """
    count, members = next(iter(activations.values())).shape[:2]
    for name, numbers, most in (("images", images, count), ("transformations", transformations, members)):
        for number in numbers:
            if not 2 <= number <= most:
                raise UserError(f"{name}: {number} of {most} were asked for; a part has 2..{most}")
    parts = [(some, few, repeat) for some in images for few in transformations for repeat in range(repeats)]
    drawn = [torch.arange(count), torch.arange(members)]  # all of them, then the random ones
    for some, few, repeat in parts:
        generator = stream(seed, "sample size", some, few, repeat)
        for of, size in ((count, some), (members, few)):
            drawn.append(torch.randperm(of, generator=generator)[:size].sort().values)
    whole, *means = _means(activations, drawn)
    return [
        SampleSizeRow(name, *part, value, relative_error(value, whole[name]))
        for part, of_part in zip(parts, means, strict=True)
        for name, value in of_part.items()
    ]


def relative_error(one: float, other: float) -> float:
    """|a - b| / (|a| + |b|): 0 of equal values, also of two zeros, 1 at most; NaN where one is unknown."""
    size = abs(one) + abs(other)
    return abs(one - other) / size if size else 0.0


def _means(activations: Mapping[str, Tensor], drawn: Sequence[Tensor]) -> list[dict[str, float]]:
    """Of each part and layer the mean ratio of its finite units, and the mean of these where there is one.

    Args:
        drawn: images, then transformations of each part, one part after the other.
    """
    device = next(iter(activations.values())).device
    chosen = torch.cat([*drawn]).to(device).split([len(each) for each in drawn])
    values = []
    for images, transformations in zip(chosen[::2], chosen[1::2], strict=True):
        for layer in activations.values():
            part = layer[images][:, transformations].double()
            spreads = part.std(1).mean(0), part.std(0).mean(0)
            values.append(ratios(*spreads, scale=part.square().mean((0, 1)).sqrt(), dtype=layer.dtype))
    one_by_one = iter(torch.cat(values).cpu().split([len(each) for each in values]))
    means = []
    for _ in range(len(drawn) // 2):
        of_layers = {name: mean_of_finite(next(one_by_one)) for name in activations}
        known = [value for value in of_layers.values() if value == value]
        means.append({**of_layers, ALL_LAYERS: sum(known) / len(known) if known else nan})
    return means
