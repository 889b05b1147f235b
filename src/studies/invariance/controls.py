"""What a transformation does to the images themselves, measured as a network is: what no network can be blamed for."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from src.core.result import Result, table_of
from src.data.image_set import ImageSet
from src.data.ranks import rank_within_class
from src.imageops.transformations import TransformationSet, interpolation_error
from src.methods.invariance.passes import Examination, Transformations
from src.methods.invariance.variance import variances
from src.studies.invariance.measured import EQUIVARIANCE, setup_of

if TYPE_CHECKING:
    from src.report.session import Session

SECTION = "Controls"
INTERPOLATION = "interpolation alone"
IMAGES = 256  # about as many, of all classes alike, are enough for a mean over all pixels


@dataclass(frozen=True)
class Control:
    """NV of pixels, over all images and within classes: of the transformed image, and of it once it is moved back."""

    image: float
    image_stratified: float
    interpolation: float
    interpolation_stratified: float


def controls(
    images: ImageSet,
    transformations: TransformationSet,
    ways: Sequence[str],
    study: Mapping[str, Any],
    session: Session,
) -> dict[str, Control]:
    """Way of measuring -> its control over the pixels that always hold the image; none where there is no such pixel."""
    mask = transformations.valid(*images.shape[1:])
    if not bool(mask.any()):
        session.event("transformation: no pixel always holds the image; there is no control of interpolation")
        return {}
    few = _few(images)
    found = {}
    for way in ways:
        setup = setup_of({**study, "layers": "*", "dtype": "float32"}, "none" if way == EQUIVARIANCE else way)
        pixels = [
            variances(Examination(_Inside(mask), few.images, moves, setup=setup), few.labels, kept_units=1)
            for moves in (transformations, _AndBack(transformations))
        ]
        found[way] = Control(*(each.over_layers(stratified=within) for each in pixels for within in (False, True)))
    return found


def _few(images: ImageSet) -> ImageSet:
    present = len(images.labels.unique())
    return images.select(rank_within_class(images.labels) < max(2, IMAGES // present))


class _Inside(nn.Module):
    """The image itself; zero, and so left out of all means, where a transformation can show something else."""

    def __init__(self, mask: Tensor) -> None:
        super().__init__()
        self.mask = mask

    def forward(self, images: Tensor) -> Tensor:
        return images * self.mask


class _AndBack:
    """Each transformation and then its inverse: nothing but interpolation is left."""

    def __init__(self, of: Transformations) -> None:
        self.of, self.names, self.identity = of, of.names, of.identity
        self.undo, self.valid = of.undo, of.valid

    def __len__(self) -> int:
        return len(self.of)

    def __call__(self, images: Tensor, members: slice | Sequence[int] = slice(None)) -> Tensor:
        return self.of.undo(self.of(images, members), members)


def level_rows(row: Mapping[str, Any], control: Control) -> list[dict[str, Any]]:
    """A level line at the control, with the columns of ``row``, from the first layer to the last."""
    empty = dict.fromkeys(row, math.nan) | {"layer": "image", "kind": "", "units": 0, "dead": 0, "infinite": 0}
    values = {"nv": control.interpolation, "nv_stratified": control.interpolation_stratified}
    bounds = {f"{name}{end}": value for name, value in values.items() for end in ("", "_low", "_high")}
    return [{**empty, **bounds, "network": INTERPOLATION, "number": -1, "depth": depth} for depth in (0.0, 1.0)]


def add_controls(
    result: Result, found: Mapping[str, Control], images: ImageSet, transformations: TransformationSet
) -> None:
    """Tables of what the transformation does to the images."""
    if not found:
        return
    with torch.inference_mode():
        errors = interpolation_error(transformations, _few(images).images.float() / 255)
    result.tables["interpolation"] = {
        "transformation": list(transformations.names),
        "error": [float(error) for error in errors],
    }
    result.captions["interpolation"] = (
        "Root mean square of the grey values (0 to 1) by which an image that is transformed and transformed back "
        "differs, over the pixels that always hold the image."
    )
    result.tables["pixels"] = table_of(
        [
            {"aggregation": way, "image": each.image, "image_stratified": each.image_stratified,
             "interpolation": each.interpolation, "interpolation_stratified": each.interpolation_stratified}
            for way, each in found.items()
        ]
    )  # fmt: skip
    result.captions["pixels"] = (
        f"NV of the image's own pixels, over all images and within classes (stratified), and of those of the image "
        f"moved and moved back, which is interpolation alone; {len(_few(images))} images, the pixels that always hold "
        "the image."
    )
    result.sections |= {"interpolation": SECTION, "pixels": SECTION}
