"""Maps that a transformation changes least and most, as pictures."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from src.core.result import Figure, Result
from src.data.image_set import ImageSet
from src.imageops.transformations import TransformationSet
from src.methods.invariance.variance import LayerVariance, Variances
from src.networks.activations import evaluating, recording
from src.networks.subjects import Subject
from src.studies.invariance.activation_pictures import map_grid
from src.studies.invariance.measured import Measured
from src.studies.invariance.panels import UNITS

LOOKED_AT = 16  # images that the one shown is chosen from
COLUMNS = 8  # about as many transformations

Ranked = tuple[str, int, float]  # layer, channel, NV


def add_maps(
    result: Result, each: Measured, images: ImageSet, transformations: TransformationSet, *, count: int
) -> None:
    """The least and the most variable maps of a network, of one image under some transformations."""
    ranked = _ranked_maps(each.spreads.get("sum") or next(iter(each.spreads.values())))
    if not ranked or not count:
        return
    members = list(range(0, len(transformations), max(1, len(transformations) // COLUMNS)))
    chosen = {"least": ranked[:count], "most": ranked[-count:][::-1]}
    number = _telling_image(each, images.images, transformations, members, chosen["most"])
    shown = ", ".join(transformations.names[member] for member in members)
    for title, some in chosen.items():
        moved, maps = _maps(each.subject, images.images[number], transformations, members, some)
        said = "; ".join(f"{layer}[{unit}] NV {value:.2f}" for layer, unit, value in some)
        name = f"maps_{title}"
        result.images[name] = map_grid([list(moved.mean(1)), *(list(map_) for map_ in maps)])
        result.figures.append(
            Figure("image", name, f"The {title} variable maps: {each.name}", "Above an image of "
                   f"'{images.classes[int(images.labels[number])]}' under {shown}; below {said}. Each row on its own "
                   "grey scale.", section=UNITS)
        )  # fmt: skip


def _telling_image(
    each: Measured, images: Tensor, transformations: TransformationSet, members: Sequence[int], ranked: Sequence[Ranked]
) -> int:
    """Of a few images the one that moves these maps most; others may leave them black."""
    few = torch.linspace(0, len(images) - 1, min(LOOKED_AT, len(images))).long().tolist()
    spreads = torch.tensor(
        [
            [float(map_.std(0).mean()) for map_ in _maps(each.subject, images[k], transformations, members, ranked)[1]]
            for k in few
        ]
    )  # (images, maps)
    return int(few[int((spreads / spreads.amax(0).clamp(min=1e-12)).sum(1).argmax())])


@torch.inference_mode()
def _maps(
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


def _ranked_maps(spreads: Variances) -> list[Ranked]:
    """All maps, the least variable first; dead ones are left out."""
    found = []
    for each in spreads.layers:
        if each.layer.is_map:
            found += [
                (each.layer.name, unit, value)
                for unit, value in enumerate(_per_map(each).tolist())
                if math.isfinite(value)
            ]
    return sorted(found, key=lambda item: item[2])


def _per_map(each: LayerVariance) -> Tensor:
    """(K,): the mean over a map's positions that have a ratio."""
    values = each.ratio.values
    return values if values.ndim == 1 else values.masked_fill(values.isinf(), math.nan).flatten(1).nanmean(1)
