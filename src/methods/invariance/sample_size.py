"""How many images and transformations a measure needs: NV of parts of them against that of all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import nan
from typing import NamedTuple

import torch
from torch import Tensor

from src.core.errors import UserError
from src.core.seeds import stream
from src.methods.invariance.ratio import ratio_of

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
    whole = _means(activations, torch.arange(count), torch.arange(members))
    rows = []
    for some in images:
        for few in transformations:
            for repeat in range(repeats):
                generator = stream(seed, "sample size", some, few, repeat)
                which = [
                    torch.randperm(of, generator=generator)[:part].sort().values
                    for of, part in ((count, some), (members, few))
                ]
                for name, value in _means(activations, *which).items():
                    rows.append(SampleSizeRow(name, some, few, repeat, value, relative_error(value, whole[name])))
    return rows


def relative_error(one: float, other: float) -> float:
    """|a - b| / (|a| + |b|): 0 of equal values, also of two zeros, 1 at most; NaN where one is unknown."""
    size = abs(one) + abs(other)
    return abs(one - other) / size if size else 0.0


def _means(activations: Mapping[str, Tensor], images: Tensor, transformations: Tensor) -> dict[str, float]:
    """Of each layer the mean ratio of its finite units, and the mean of these where there is one."""
    means = {}
    for name, values in activations.items():
        part = values[images.to(values.device)][:, transformations.to(values.device)].double()
        scale = float(part.square().mean().sqrt())
        means[name] = ratio_of(part.std(1).mean(0), part.std(0).mean(0), scale=scale, dtype=values.dtype).mean
    known = [value for value in means.values() if value == value]
    return {**means, ALL_LAYERS: sum(known) / len(known) if known else nan}
