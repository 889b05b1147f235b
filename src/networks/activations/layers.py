"""The activations of a network by name, chosen by patterns."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import partial
from math import prod

import torch
from torch import Tensor, nn

from src.core.errors import UserError, suggestion
from src.networks.activations.capture import evaluating
from src.networks.activations.recording import recording


@dataclass(frozen=True)
class Layer:
    """One activation of a forward pass.

    Attributes:
        name: of the module, or the module's name and the function's: ``layer1.0.add``; ``#2`` for its second call.
        kind: class of the module, as ``Conv2d``, or the function, as ``relu``.
        shape: of one image's activation, as (K, h, w) or (features,).
        channels_last: whether its memory runs over channels fastest.
    """

    name: str
    kind: str
    shape: tuple[int, ...]
    channels_last: bool = False

    @property
    def units(self) -> int:
        return prod(self.shape)

    @property
    def is_map(self) -> bool:
        """Whether it has rows and columns that a transformation of the image moves."""
        return len(self.shape) == 3


@torch.no_grad()
def layers_of(model: nn.Module, images: Tensor) -> list[Layer]:
    """All activations that ``model`` computes for each image by itself, in the order of computing.

    Left out are views and copies of others (flatten, dropout in evaluation mode), integers, what is empty, and what has
    no row per image (parameters that are computed, images of a batch that are cut in pieces).

    Args:
        images: float (n, C, H, W), normalised, n >= 2, on the model's device; two passes are made.
    """
    if len(images) < 2:
        raise ValueError("give at least two images")
    passes: list[dict[str, Layer]] = []
    with evaluating(model):
        for part in (images, images[:1]):
            noted: dict[str, Layer] = {}
            with recording(model, partial(_note, noted, len(part))):
                model(part)
            passes.append(noted)
    return [layer for name, layer in passes[0].items() if name in passes[1] and layer.shape == passes[1][name].shape]


def _note(noted: dict[str, Layer], images: int, name: str, kind: str, map_: Tensor) -> None:
    if map_.ndim >= 2 and len(map_) == images and map_.numel():
        last = map_.ndim == 4 and map_.is_contiguous(memory_format=torch.channels_last) and not map_.is_contiguous()
        noted[name] = Layer(name, kind, tuple(map_.shape[1:]), last)


def choose(layers: Sequence[Layer], patterns: Iterable[str], key: str = "layers") -> list[Layer]:
    """Those whose name or kind fits a pattern (``conv*``, ``ReLU``), less those that fit one after ``!``; in any case.

    Raises:
        UserError: naming ``key``, where a pattern fits none, or none is left.
    """
    wanted = list(patterns)
    for pattern in wanted:
        if not any(_fits(layer, pattern.removeprefix("!")) for layer in layers):
            known = [*dict.fromkeys([*(layer.name for layer in layers), *(layer.kind for layer in layers)])]
            raise UserError(f"{key}: nothing in the network fits '{pattern}'; {suggestion(pattern, known)[:300]}")
    negative = [pattern[1:] for pattern in wanted if pattern.startswith("!")]
    positive = [pattern for pattern in wanted if not pattern.startswith("!")] or ["*"]
    within = [layer for layer in layers if any(_fits(layer, pattern) for pattern in positive)]
    chosen = [layer for layer in within if not any(_fits(layer, pattern) for pattern in negative)]
    if not chosen:
        raise UserError(f"{key}={wanted}: leaves no layer; take one of the patterns away")
    return chosen


def _fits(layer: Layer, pattern: str) -> bool:
    return any(fnmatchcase(known.lower(), pattern.lower()) for known in (layer.name, layer.kind))
