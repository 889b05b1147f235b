"""Forward passes over all images under all transformations, each activation handed on where it is made."""

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import torch
from torch import Tensor, nn

from src.core.errors import UserError
from src.core.shown import Shown
from src.networks.activations import Layer, choose, evaluating, layers_of, recording

Take = Callable[[Layer, slice, Tensor], None]  # layer, which images, activations (images, members, units)
Before = Literal["none", "sum", "mean", "max"]
"""How a map becomes units, before any statistics: every position is one, or its sum, mean or greatest value is."""
After = Literal["none", "mean"]
"""What happens to the statistics of the positions of a map before they are divided: nothing, or their mean."""
_AGGREGATIONS: dict[str, Callable[..., Tensor]] = {"sum": torch.sum, "mean": torch.mean, "max": torch.amax}


class Transformations(Protocol):
    """What a measure asks of a set of T transformations; `src.imageops.transformations` has them."""

    names: tuple[str, ...]
    identity: int | None

    def __len__(self) -> int: ...

    def __call__(self, images: Tensor, members: slice | Sequence[int] = ...) -> Tensor:
        """Float (n, C, H, W) -> (n, T, C, H, W)."""

    def undo(self, maps: Tensor, members: slice | Sequence[int] = ...) -> Tensor:
        """Inverses, float (n, T, K, h, w) -> the same shape."""

    def valid(self, height: int, width: int) -> Tensor:
        """Bool (h, w): where maps hold the image whatever the transformation."""


@dataclass(frozen=True)
class Setup:
    """What is measured, and how it is gone through.

    Attributes:
        layers: patterns of names and kinds (see :func:`src.networks.activations.choose`).
        before: what becomes of a map before the statistics.
        after: what becomes of the statistics of a map's positions.
        same_equivariance: maps are turned back by the inverse transformation first, so that a unit is compared with
            the one that it moved to; only layers with maps, and positions that always hold the image, take part.
        batch: images times transformations in one forward pass, at least one image under all.
        memory_gb: bound of all that the measure keeps and of its passes, in GiB.
        dtype: of the passes and the sums within a slab.
    """

    layers: tuple[str, ...] = ("*",)
    before: Before = "none"
    after: After = "none"
    same_equivariance: bool = False
    batch: int = 64
    memory_gb: float = 2.0
    dtype: torch.dtype = torch.float32

    def __post_init__(self) -> None:
        if self.before != "none" and self.after != "none":
            raise UserError(f"after={self.after}: with before={self.before} a map is one unit already; set one to none")


@dataclass
class Examination(Shown):
    """A network, images and transformations, ready to be gone through.

    Args:
        model: any, in any mode; passes are made in evaluation mode.
        images: (S, C, H, W), uint8 or floats of 0..1.
        transformations: a set of them.
        prepare: what the model wants of floats 0..1 (n, C, H, W), e.g. their normalisation.
        setup: how.

    Attributes:
        layers: those that are measured.

    Raises:
        UserError: a pattern fits no layer; the transformation changes the size; an answer depends on the other
            images of its batch; fewer than two images or transformations.
    """

    model: nn.Module
    images: Tensor
    transformations: Transformations
    prepare: Callable[[Tensor], Tensor] = lambda images: images
    setup: Setup = Setup()

    def __post_init__(self) -> None:
        if len(self.images) < 2:
            raise UserError(f"images: {len(self.images)}; a spread over images needs at least two")
        if len(self.transformations) < 2:
            raise UserError(
                "transformation: has one member; a spread over transformations needs at least two, set count=2"
            )
        self._inside: dict[tuple[int, ...], Tensor] = {}
        self.device = next(self.model.parameters(), self.images).device
        # float64 answers are for checks: the network itself is left as it is
        self.model = _in_type(self.model, self.setup.dtype)
        with torch.inference_mode():
            seen = self.seen(slice(0, 2))
        self.layers = choose(layers_of(self.model, seen.clone()), self.setup.layers)
        if self.setup.same_equivariance:
            self.layers = [layer for layer in self.layers if layer.is_map and len(self._positions(layer))]
            if not self.layers:
                raise UserError(
                    "same_equivariance: none of the chosen layers has a map with a position that always holds the "
                    "image; choose earlier layers"
                )
        self._check_rows()

    def reordered(self, order: Tensor) -> "Examination":
        """The same with its images in another order."""
        other = copy.copy(self)
        other.images = self.images[order.to(self.images.device)]
        return other

    def seen(self, part: slice, members: slice | Sequence[int] = slice(None)) -> Tensor:
        """What the model is given: (images * members, C, H, W), an image's members in a row."""
        images = self.images[part].to(self.device)
        images = images.to(self.setup.dtype) / 255 if not images.is_floating_point() else images.to(self.setup.dtype)
        moved = self.transformations(images, members)
        if moved.shape[2:] != images.shape[1:]:
            raise UserError(
                f"transformation: makes images {tuple(moved.shape[2:])} of {tuple(images.shape[1:])}; a measure "
                "compares activations unit by unit, so take one that keeps the size"
            )
        flat = self.prepare(moved.flatten(0, 1)).to(self.setup.dtype)
        return flat.contiguous(memory_format=torch.channels_last)

    def go_through(
        self,
        take: Take,
        *,
        members: slice | Sequence[int] = slice(None),
        layers: Sequence[Layer] | None = None,
        images: slice | None = None,
        watch: Callable[[int], None] = lambda images: None,
    ) -> None:
        """Call ``take`` with each layer's activations (n, members, units) of each chunk of images, in order.

        The block is the network's own memory where no step needed a copy: take what is wanted of it at once.
        """
        chosen = {layer.name: layer for layer in (self.layers if layers is None else layers)}
        count = len(range(len(self.transformations))[members]) if isinstance(members, slice) else len(members)
        begin, end, _ = (images or slice(None)).indices(len(self.images))
        step = max(1, self.setup.batch // count)
        with torch.inference_mode(), evaluating(self.model):
            for start in range(begin, end, step):
                part = slice(start, min(end, start + step))
                rows = (part.stop - part.start, count)

                def listen(
                    name: str, kind: str, map_: Tensor, part: slice = part, rows: tuple[int, int] = rows
                ) -> None:
                    layer = chosen[name]
                    take(layer, part, self._units(map_, layer, rows, members))

                with recording(self.model, listen, chosen):
                    self.model(self.seen(part, members))
                watch(rows[0])

    def units(self, layer: Layer) -> int:
        """How many units a layer has after the aggregation."""
        if layer.is_map and self.setup.before != "none":
            return layer.shape[0]
        if self.setup.same_equivariance:
            return layer.shape[0] * len(self._positions(layer))
        return layer.units

    def shaped(self, values: Tensor, layer: Layer) -> Tensor:
        """(..., units) as a pass hands them on -> in the layer's shape, averaged over positions where `after` says so.

        Maps that were turned back become (..., K, positions that always hold the image).
        """
        if not layer.is_map:
            return values.unflatten(-1, layer.shape)
        if self.setup.before != "none":
            return values
        channels, height, width = layer.shape
        average = self.setup.after == "mean"
        if self.setup.same_equivariance:
            values = values.unflatten(-1, (channels, values.shape[-1] // channels))
            return values.mean(-1) if average else values
        if layer.channels_last:
            values = values.unflatten(-1, (height, width, channels)).movedim(-1, -3)
        else:
            values = values.unflatten(-1, layer.shape)
        return values.mean((-2, -1)) if average else values

    def _units(self, map_: Tensor, layer: Layer, rows: tuple[int, int], members: slice | Sequence[int]) -> Tensor:
        """(images * T, ...) -> (images, T, units), in the order of memory, without a copy where there is a choice."""
        aggregate = _AGGREGATIONS.get(self.setup.before)
        if self.setup.same_equivariance:
            back = self.transformations.undo(map_.unflatten(0, rows), members)
            inside = back.flatten(-2).index_select(-1, self._positions(layer))  # (images, members, K, positions)
            return inside.flatten(2) if aggregate is None else aggregate(inside, -1)
        if map_.ndim == 4 and aggregate is not None:
            return aggregate(map_, (2, 3)).view(*rows, -1)
        if layer.channels_last:
            map_ = map_.permute(0, 2, 3, 1)
        return map_.reshape(*rows, -1)

    def _positions(self, layer: Layer) -> Tensor:
        """int64 (positions,), on the device: where in the layer's flattened maps the image always is."""
        size = layer.shape[1:]
        if size not in self._inside:
            valid = self.transformations.valid(*size).cpu()
            self._inside[size] = valid.flatten().nonzero()[:, 0].to(self.device)
        return self._inside[size]

    @torch.inference_mode()
    def _check_rows(self) -> None:
        """An image's answer must not depend on what else is in its batch."""
        seen = self.seen(slice(0, 2))[: max(4, len(self.transformations))]
        with evaluating(self.model):
            together, turned = self.model(seen), self.model(seen.flip(0)).flip(0)
            alone = torch.cat([self.model(seen[:1]), self.model(seen[-1:])])
        differences = torch.cat([together - turned, together[:1] - alone[:1], together[-1:] - alone[1:]])
        size, apart = torch.stack([together.abs().max(), differences.abs().max()]).tolist()
        tolerance = 1e-3 * size + 1e-6
        if not apart <= tolerance:
            raise UserError(
                f"model: its answer for an image changes by {apart:.2g} with the other images of the batch, so that no "
                "activation belongs to one image; take normalisation over the batch out of it"
            )


def _in_type(model: nn.Module, dtype: torch.dtype) -> nn.Module:
    reference = next((p for p in model.parameters() if p.is_floating_point()), None)
    if reference is None or reference.dtype == dtype:
        return model
    return copy.deepcopy(model).to(dtype)
