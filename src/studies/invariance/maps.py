"""Maps that a transformation changes least and most, as pictures."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from src.data.image_set import ImageSet
from src.imageops.transformations import TransformationSet
from src.methods.invariance.variance import LayerVariance, Variances
from src.networks.activations import evaluating, recording
from src.networks.subjects import Subject
from src.studies.invariance.findings import ShownMap, ShownMaps
from src.studies.invariance.measured import Measured

LOOKED_AT = 16  # images that the one shown is chosen from
COLUMNS = 8  # about as many transformations

Ranked = tuple[str, int, float]  # layer, channel, NV


def shown_maps(
    measured: Measured, images: ImageSet, transformations: TransformationSet, *, count: int
) -> ShownMaps | None:
    """So many of the least and the most variable maps of a network; None where it has no map, or none is wanted."""
    variances = measured.variances.get("sum") or next(iter(measured.variances.values()))
    ranked = _ranked_maps(variances)
    if not ranked or not count:
        return None
    members = list(range(0, len(transformations), max(1, len(transformations) // COLUMNS)))
    least, most = ranked[:count], ranked[-count:][::-1]
    number = _telling_image(measured.subject, images.images, transformations, members, most)
    moved, maps = maps_of_an_image(measured.subject, images.images[number], transformations, members, [*least, *most])
    shown = [ShownMap(*of, values) for of, values in zip([*least, *most], maps, strict=True)]
    return ShownMaps(
        int(images.labels[number]),
        tuple(members),
        moved.mean(1),
        tuple(shown[: len(least)]),
        tuple(shown[len(least) :]),
    )


def _telling_image(
    subject: Subject, images: Tensor, transformations: TransformationSet, members: Sequence[int], maps: Sequence[Ranked]
) -> int:
    """Of a few images the one that moves these maps most; others may leave them black."""
    few = torch.linspace(0, len(images) - 1, min(LOOKED_AT, len(images))).long().tolist()
    spreads = torch.tensor(
        [
            [
                float(values.std(0).mean())
                for values in maps_of_an_image(subject, images[number], transformations, members, maps)[1]
            ]
            for number in few
        ]
    )  # (images, maps)
    return int(few[int((spreads / spreads.amax(0).clamp(min=1e-12)).sum(1).argmax())])


@torch.inference_mode()
def maps_of_an_image(
    subject: Subject,
    image: Tensor,
    transformations: TransformationSet,
    members: Sequence[int],
    ranked: Sequence[Ranked],
) -> tuple[Tensor, list[Tensor]]:
    """The moved image (members, C, H, W), and of each chosen map (members, h, w), on the CPU."""
    moved = transformations(image[None].float() / 255, members).flatten(0, 1)
    heard: dict[str, Tensor] = {}

    def listen(name: str, kind: str, map_: Tensor) -> None:
        heard[name] = map_.cpu().clone()

    device = next(subject.model.parameters()).device
    with evaluating(subject.model), recording(subject.model, listen, {layer for layer, _, _ in ranked}):
        subject.model(subject.normalise_values(moved.to(device)))
    return moved, [heard[layer][:, unit] for layer, unit, _ in ranked]


def _ranked_maps(variances: Variances) -> list[Ranked]:
    """All maps, the least variable first; dead ones are left out."""
    ranked = [
        (each.layer.name, channel, value)
        for each in variances.layers
        if each.layer.is_map
        for channel, value in enumerate(_per_map(each).tolist())
        if math.isfinite(value)
    ]
    return sorted(ranked, key=lambda ranked_map: ranked_map[2])


def _per_map(each: LayerVariance) -> Tensor:
    """(K,): the mean over a map's positions that have a ratio."""
    values = each.ratio.values
    return values if values.ndim == 1 else values.masked_fill(values.isinf(), math.nan).flatten(1).nanmean(1)
