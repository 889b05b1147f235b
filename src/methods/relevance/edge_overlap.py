"""Do maps of relevance follow the edges of an image, more than they would by chance?

Edges are a set of pixels, widened by a few pixels of tolerance (``src.imageops.edges.dilated``); the relevant region is
one as well. What they have in common is held against three chances: as many pixels thrown at random, the same edges
shifted in a circle, and another image's edges. After M. Bütner (thesis, Bamberg 2020), who had none of the three.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from src.core.errors import UserError
from src.core.seeds import stream
from src.methods.relevance.localisation import relevance_mass

Sign = Literal["positive", "negative"]


class Overlap(NamedTuple):
    """Of a region and of edges, float64 (n,); NaN where one of both has no pixels, or the edges have all.

    Attributes:
        precision: the share of the region that lies on edges.
        recall: the share of the edges that lies in the region.
        iou: what they share over what they cover together.
        mass: the share of the map's relevance of this sign that lies on edges, whatever the region.
    """

    precision: Tensor
    recall: Tensor
    iou: Tensor
    mass: Tensor


@dataclass(frozen=True)
class EdgeOverlap:
    """The overlap of one sign of relevance with edges, and what it is held against.

    Attributes:
        edges: with the image's edges.
        shifted: with the same edges shifted in a circle, the mean over shifts.
        other: with another image's edges.
        chance: of a region of as many pixels at random; its ``iou`` is that of the expected intersection.
        without_region: how many images have no relevance of this sign, or none that stands out: 'not defined'.
        without_edges: how many images have no edges, or nothing else.
    """

    edges: Overlap
    shifted: Overlap
    other: Overlap
    chance: Overlap
    without_region: int
    without_edges: int


def relevant_region(maps: Tensor, share: float | None = None) -> Tensor:
    """The pixels of much positive relevance: float (n, H, W) -> bool (n, H, W); of negative: give ``-maps``.

    Args:
        share: None: those above the mean of the positive values, as in the thesis, none where all these are equal. Or
            that share of the image's pixels, the most relevant ones; fewer where fewer are positive, more where they
            tie for the last place.

    Raises:
        UserError: the share is not within 0 and 1.
    """
    positive = (maps > 0) & maps.isfinite().all(2).all(1)[:, None, None]
    if share is None:
        mean = maps.double().clamp(min=0).sum((1, 2)) / positive.sum((1, 2))
        return positive & (maps > mean[:, None, None])
    if not 0 < share < 1:
        raise UserError(f"share={share:g} of the most relevant pixels: allowed is more than 0 and less than 1")
    flat = maps.flatten(1)
    count = max(1, round(share * flat.shape[1]))
    last = flat.kthvalue(flat.shape[1] - count + 1, 1).values
    return positive & (maps >= last[:, None, None])


def circular_shifts(height: int, width: int, count: int, seed: int) -> list[tuple[int, int]]:
    """Rows and columns to shift edges by, at least a quarter of each side away; to be the same for all methods."""
    generator = stream(seed, "circular shifts")
    sides = []
    for side in (height, width):
        least = max(1, side // 4)
        sides.append(torch.randint(least, max(least, side - least) + 1, (count,), generator=generator).tolist())
    return list(zip(*sides, strict=True))


def edge_overlap(
    maps: Tensor, edges: Tensor, others: Tensor, shifts: Sequence[tuple[int, int]], share: float | None = None
) -> dict[Sign, EdgeOverlap]:
    """The overlap of positive and of negative relevance with edges.

    Args:
        maps: float (n, H, W).
        edges: bool (n, H, W), widened by the tolerance already.
        others: int64 (n,), for each image the number of the one whose edges are its control
            (``src.methods.relevance.controls.other_images``).
        shifts: of :func:`circular_shifts`, at least one.
        share: what region is taken, see :func:`relevant_region`.

    Raises:
        UserError: there are no shifts, or the share is not within 0 and 1.
    """
    if not shifts:
        raise UserError("no circular shifts are given to hold the overlap with edges against; take at least one")
    return {
        "positive": _one_sign(maps, edges, others, shifts, share),
        "negative": _one_sign(-maps, edges, others, shifts, share),
    }


def _one_sign(
    maps: Tensor, edges: Tensor, others: Tensor, shifts: Sequence[tuple[int, int]], share: float | None
) -> EdgeOverlap:
    region = relevant_region(maps, share)
    true = _overlap(maps, region, edges)
    shifted = [_overlap(maps, region, edges.roll(shift, (1, 2))) for shift in shifts]
    means = Overlap(*(torch.stack(values).mean(0) for values in zip(*shifted, strict=True)))
    pixels = edges[0].numel()
    covered, edged = (marked.sum((1, 2)).double() / pixels for marked in (region, edges))
    both = covered * edged
    # NaN where the overlap itself is, so that the same images are averaged
    at_random = (edged, covered, both / (covered + edged - both), edged)
    expected = Overlap(*(value.where(~held.isnan(), torch.nan) for value, held in zip(at_random, true, strict=True)))
    return EdgeOverlap(
        true, means, _overlap(maps, region, edges[others]), expected,
        int((~region.any(2).any(1)).sum()), int(((edged == 0) | (edged == 1)).sum()),
    )  # fmt: skip


def _overlap(maps: Tensor, region: Tensor, edges: Tensor) -> Overlap:
    both, covered, edged, union = (
        marked.sum((1, 2)).double() for marked in (region & edges, region, edges, region | edges)
    )
    defined = (covered > 0) & (edged > 0) & (edged < edges[0].numel())
    precision, recall, iou = (both / count.where(defined, torch.nan) for count in (covered, edged, union))
    return Overlap(precision, recall, iou, relevance_mass(maps, edges))
