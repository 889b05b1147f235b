"""Every image through its own random member of a family."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Generator, Tensor

from src.imageops.transformations.description import family_of
from src.imageops.transformations.portions import portions

GRID = 8  # numbers that a pixel needs, its place in double precision among them


class RandomTransformation:
    """Random members of a family's continuous range: parameters to draw, and images to make with them.

    Args:
        options: the family, as of `transformation_set`; the ``count`` of its grid does not matter here.
        where: what messages call them.

    Raises:
        UserError: an unknown family or key, or a value that is not allowed.
    """

    def __init__(self, options: Mapping[str, Any], where: str = "transformation") -> None:
        self.family = family_of(options, where)

    def check_size(self, height: int, width: int) -> None:
        """UserError where images of this size cannot be transformed."""
        self.family.check_size(height, width)

    def draw(self, count: int, generator: Generator) -> Tensor:
        """float64 (count, p) on the CPU, parameters for `apply`.

        Args:
            generator: on the CPU.
        """
        return self.family.draw(count, generator)

    def apply(self, images: Tensor, parameters: Tensor) -> Tensor:
        """Each image by its own parameters.

        Args:
            images: uint8 (n, C, H, W).
            parameters: (n, p).

        Returns:
            uint8 (n, C, H, W), rounded, in contiguous memory on the same device.

        Raises:
            UserError: the images cannot be transformed so.
        """
        self.check_size(*images.shape[2:])
        made = torch.empty(images.shape, dtype=torch.uint8, device=images.device)
        values_each = images.shape[2:].numel() * (images.shape[1] + GRID)
        for rows in portions(len(images), values_each, images.device):
            some = images[rows]
            operator = self.family.operator(parameters[rows])
            values = operator.apply((some.float() / 255)[None], range(len(some)))[0]
            made[rows] = (values * 255).round_().clamp_(0, 255).to(torch.uint8)
        return made


def drawn(options: Mapping[str, Any], images_uint8: Tensor, generator: Generator) -> Tensor:
    """Each image through its own random member of a family.

    Args:
        options: the family, as of `transformation_set`.
        images_uint8: (n, C, H, W).
        generator: on the CPU.

    Returns:
        uint8 (n, C, H, W).

    Raises:
        UserError: an unknown family or key, a value that is not allowed, images that cannot be transformed so.
    """
    random = RandomTransformation(options)
    return random.apply(images_uint8, random.draw(len(images_uint8), generator))
