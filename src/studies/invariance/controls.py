"""What a transformation does to the images themselves, measured as a network is: what no network can be blamed for."""

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn

from src.data.image_set import ImageSet
from src.data.ranks import rank_within_class
from src.imageops.transformations import TransformationSet, interpolation_error
from src.methods.invariance.passes import Examination, Transformations
from src.methods.invariance.variance import variances
from src.report.session import Session
from src.studies.invariance.findings import EQUIVARIANCE, PixelControl, PixelControls, Way
from src.studies.invariance.measured import setup_of
from src.studies.invariance.options import Options

IMAGES = 256  # about as many, of all classes alike, are enough for a mean over all pixels


def controls(
    images: ImageSet,
    transformations: TransformationSet,
    ways: Sequence[Way],
    options: Options,
    session: Session,
) -> PixelControls | None:
    """Over the pixels that always hold the image; None where there is no such pixel."""
    mask = transformations.valid(*images.shape[1:])
    if not bool(mask.any()):
        session.event("transformation: no pixel always holds the image; there is no control of interpolation")
        return None
    few = _few(images)
    with torch.inference_mode():
        errors = interpolation_error(transformations, few.images.float() / 255)
    plain = replace(options, layers="*", dtype="float32")
    by_way: dict[Way, PixelControl] = {}
    for way in ways:
        setup = setup_of(plain, "none" if way == EQUIVARIANCE else way)
        pixels = [
            variances(Examination(_Inside(mask), few.images, moves, setup=setup), few.labels, kept_units=1)
            for moves in (transformations, _AndBack(transformations))
        ]
        by_way[way] = PixelControl(
            *(each.over_layers(stratified=within) for each in pixels for within in (False, True))
        )
    return PixelControls(len(few), errors, by_way)


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
