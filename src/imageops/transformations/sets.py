"""Members of a family: its grid applied to a batch in one go, and undone on a network's maps; and random ones."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Generator, Tensor

from src.core.errors import UserError
from src.imageops.threads import portions
from src.imageops.transformations.composition import family_of
from src.imageops.transformations.family import Family

AT_ONCE = 16  # members whose content is followed at once
SHARE = 1e-9  # of a value that may come from elsewhere
DRAWN = 8  # numbers that a pixel of a random member needs, its place in double precision among them


class TransformationSet:
    """T transformations of a family; a pure function of each image, whatever else is in the batch.

    Args:
        of: the family.

    Attributes:
        names: of the members, e.g. ``22.5°``.
        values: their parameters.
        family, unit: of the parameters.
        identity: the member that changes nothing (but for the corners that ``disc`` fills), or None.
    """

    def __init__(self, of: Family) -> None:
        parameters = of.grid()
        rows = [tuple(row) for row in parameters.tolist()]
        self.family, self.unit = of.title, of.unit
        self.names = tuple(of.label(row) for row in rows)
        self.values = tuple(of.value(row) for row in rows)
        self.identity = next((number for number, row in enumerate(rows) if of.is_identity(row)), None)
        self._of, self._operator = of, of.operator(parameters)

    def __len__(self) -> int:
        return len(self.names)

    def __call__(self, images: Tensor, members: slice | Sequence[int] = slice(None)) -> Tensor:
        """Images float (n, C, H, W) of 0..1, each through each transformation, or through some members in their order.

        Returns:
            (n, members, C, H, W) of the same type, in contiguous memory, on the images' device.

        Raises:
            UserError: the images cannot be transformed so, e.g. turned by 90 degrees where they are not square.
            ValueError: another type or number of dimensions.
        """
        chosen = self._chosen(members)
        if images.ndim != 4 or not images.is_floating_point():
            raise ValueError(f"images: float (n, C, H, W) is wanted, not {images.dtype} {tuple(images.shape)}")
        self._of.check_size(*images.shape[2:])
        return self._operator.apply(images[:, None].expand(-1, len(chosen), -1, -1, -1), chosen).contiguous()

    def undo(self, maps: Tensor, members: slice | Sequence[int] = slice(None)) -> Tensor:
        """Feature maps float (n, members, K, h, w) moved back, each by the inverse of its transformation.

        What does not move pixels (blur, noise, brightness, contrast) has nothing to move back: these are the maps
        themselves. Elsewhere a map that is smaller than the image is moved by the same share of its sides; what comes
        from beyond its border is 0, or mirrored where the images' corners are (``reflect``, ``disc``).
        """
        chosen = self._chosen(members)
        if maps.ndim != 5 or maps.shape[1] != len(chosen):
            raise ValueError(f"maps: float (n, {len(chosen)}, K, h, w) is wanted, not {tuple(maps.shape)}")
        return self._operator.undo(maps, chosen)

    def valid(self, height: int, width: int) -> Tensor:
        """bool (h, w): where all members, their inverses, and both in turn show nothing but the image.

        For rotations that is the inscribed disc, for whole quarter turns everything.
        """
        ones = torch.ones(1, 1, 1, height, width, dtype=torch.float64)
        shown = torch.ones(height, width, dtype=torch.bool)
        for chosen in torch.arange(len(self)).split(AT_ONCE):
            part = chosen.tolist()
            whole = ones.expand(-1, len(part), -1, -1, -1)
            there = self._operator.content(whole, part, False)
            for share in (there, self._operator.content(there, part, True), self._operator.content(whole, part, True)):
                shown &= (share > 1 - SHARE).all(1)[0, 0]
        return shown

    def _chosen(self, members: slice | Sequence[int]) -> list[int]:
        every = range(len(self))
        return list(every[members] if isinstance(members, slice) else (every[member] for member in members))


def transformation_set(options: Mapping[str, Any], where: str = "transformation") -> TransformationSet:
    """The grid of the family that a plain mapping describes; see `family_of`."""
    return TransformationSet(family_of(options, where))


def interpolation_error(transformations: TransformationSet, images: Tensor) -> Tensor:
    """Root mean square difference of images from themselves, transformed and moved back, where that is `valid`.

    It is what a network cannot be blamed for. Of families that move no pixel it is the size of the change itself.
    Images are float (n, C, H, W) of 0..1, the result is float64 (T,) on the CPU.

    Raises:
        UserError: no pixel keeps its content under all members.
    """
    count, _, height, width = images.shape
    where = transformations.valid(height, width).to(images.device)
    if not bool(where.any()):
        raise UserError(
            f"transformation: no pixel of {height}x{width} images stays within them under all members; "
            "take a smaller range, or larger images"
        )
    total = torch.zeros(len(transformations), dtype=torch.float64, device=images.device)
    for rows in portions(count, len(transformations) * images.shape[1:].numel(), images.device):
        some = images[rows]
        back = transformations.undo(transformations(some))
        total += (back - some[:, None])[..., where].double().square().sum((0, 2, 3))
    return (total / (count * images.shape[1] * where.sum())).sqrt().cpu()


class RandomTransformation:
    """Random members of a family's continuous range: parameters to draw, and images to make with them.

    Its description is as of `family_of`; the ``count`` of the grid does not matter here.
    """

    def __init__(self, options: Mapping[str, Any], where: str = "transformation") -> None:
        self.family = family_of(options, where)

    def check_size(self, height: int, width: int) -> None:
        """UserError where images of this size cannot be transformed."""
        self.family.check_size(height, width)

    def draw(self, count: int, generator: Generator) -> Tensor:
        """float64 (count, p) on the CPU, as the generator is: parameters for `apply`."""
        return self.family.draw(count, generator)

    def apply(self, images: Tensor, parameters: Tensor) -> Tensor:
        """Images uint8 (n, C, H, W), each by its own of the parameters (n, p).

        Returns:
            uint8 (n, C, H, W), rounded, in contiguous memory on the same device.

        Raises:
            UserError: the images cannot be transformed so.
        """
        self.check_size(*images.shape[2:])
        made = torch.empty(images.shape, dtype=torch.uint8, device=images.device)
        values_each = images.shape[2:].numel() * (images.shape[1] + DRAWN)
        for rows in portions(len(images), values_each, images.device):
            some = images[rows]
            operator = self.family.operator(parameters[rows])
            values = operator.apply((some.float() / 255)[None], range(len(some)))[0]
            made[rows] = (values * 255).round_().clamp_(0, 255).to(torch.uint8)
        return made
