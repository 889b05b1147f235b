"""How far maps of transformed images lie from the transformed maps: same-equivariance in one number per channel."""

from dataclasses import dataclass

import torch
from torch import Tensor

from src.core.errors import UserError
from src.core.shown import Shown
from src.methods.invariance.passes import Examination
from src.methods.invariance.reference import with_reference
from src.networks.activations import Layer


@dataclass
class LayerEquivariance(Shown):
    """Of one layer with maps.

    Attributes:
        distance: float64 (K,) on the CPU, 0 where a channel moves as the image does.
        relative: float64 (K,), of maps that were divided by their L2 norms first; those of zeros stay.
        zero_maps: how many maps (of images, transformations and channels) are zeros where they are compared.
    """

    layer: Layer
    distance: Tensor
    relative: Tensor
    zero_maps: int


def equivariance_distances(examination: Examination) -> list[LayerEquivariance]:
    """The root mean square difference between a map and the map of the transformed image, mean over images and T.

    The common definition moves the untransformed image's map, ``f(t(x)) - t(f(x))``; here that of the transformed
    image is moved back, ``t^-1(f(t(x))) - f(x)``, so that all transformations are compared at the same positions:
    those that hold the image whatever the transformation. Where t only exchanges pixels the two are equal.

    Raises:
        UserError: the setup is not one of maps turned back.
    """
    setup = examination.setup
    if not setup.same_equivariance or setup.before != "none":
        raise UserError("same_equivariance: this distance is one of whole maps; set it to true, and before=none")
    extended, reference, members = with_reference(examination)
    sums = {layer.name: _Sums(layer.shape[0], examination.device) for layer in examination.layers}

    def take(layer: Layer, part: slice, block: Tensor) -> None:
        maps = block.unflatten(2, (layer.shape[0], block.shape[2] // layer.shape[0]))
        sums[layer.name].add(maps[:, reference : reference + 1], maps[:, members])

    extended.go_through(take)
    count = len(examination.images) * len(examination.transformations)
    return [sums[layer.name].conclude(layer, count) for layer in examination.layers]


class _Sums:
    """float64 (K,) each, over images and transformations."""

    def __init__(self, channels: int, device: torch.device) -> None:
        self.distance, self.relative, self.zero_maps = torch.zeros(3, channels, dtype=torch.float64, device=device)

    def add(self, still: Tensor, moved: Tensor) -> None:
        """(n, 1, K, P) and (n, T, K, P)."""
        self.distance += _root_mean_square(moved - still).sum((0, 1))
        self.relative += _root_mean_square(_normed(moved) - _normed(still)).sum((0, 1))
        self.zero_maps += (moved == 0).all(-1).sum((0, 1))

    def conclude(self, layer: Layer, count: int) -> LayerEquivariance:
        distance, relative, zero_maps = torch.stack([self.distance, self.relative, self.zero_maps]).cpu()
        return LayerEquivariance(layer, distance / count, relative / count, int(zero_maps.sum()))


def _root_mean_square(away: Tensor) -> Tensor:
    return away.square().mean(-1).sqrt()


def _normed(maps: Tensor) -> Tensor:
    norms = maps.norm(dim=-1, keepdim=True)
    return maps / norms.masked_fill_(norms == 0, 1)
