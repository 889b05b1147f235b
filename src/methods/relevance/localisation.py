"""Localisation: does relevance lie on the object?

Only positive relevance counts, and chance is the mask's share of the pixels for each of these measures: a uniform map
gets exactly that. An image is left out (NaN) where its mask is empty or the whole image, and where its map has no
positive relevance or a value that is not finite. Networks may look at the background for good reasons, so that a low
value speaks against the map or against the network, and alone does not say which.
"""

import torch
from torch import Tensor

from src.imageops.edges import dilated


def chance(masks: Tensor, tolerance: int = 0) -> Tensor:
    """The mask's share of the image's pixels: bool (n, H, W) -> float64 (n,), NaN of an empty and of a full mask.

    Args:
        tolerance: of the pointing game, in pixels.
    """
    grown = dilated(masks, tolerance)
    share = grown.sum((1, 2)).double() / masks[0].numel()
    return share.masked_fill_(~_informative(masks, grown), torch.nan)


def relevance_mass(maps: Tensor, masks: Tensor) -> Tensor:
    """The share of a map's positive relevance that lies in the mask (Arras et al. 2022, arXiv:2003.07258).

    Args:
        maps: float (n, H, W). masks: bool (n, H, W).

    Returns:
        float64 (n,) of 0..1.
    """
    positive = maps.double().clamp(min=0)
    mass = (positive * masks).sum((1, 2)) / positive.sum((1, 2))
    return mass.masked_fill_(~(_positive(maps) & _informative(masks)), torch.nan)


def rank_accuracy(maps: Tensor, masks: Tensor) -> Tensor:
    """The share of the K most relevant pixels that lies in the mask of K pixels (Arras et al. 2022, arXiv:2003.07258).

    Of pixels that tie for the last places it is the expectation over all orders.

    Args:
        maps: float (n, H, W). masks: bool (n, H, W).

    Returns:
        float64 (n,) of 0..1.
    """
    values, inside = maps.flatten(1), masks.flatten(1)
    size = inside.sum(1)
    last = values.sort(1, descending=True).values.gather(1, (size - 1).clamp(min=0)[:, None])
    above, tied = values > last, values == last
    places = size - above.sum(1)
    hits, ties = (above & inside).sum(1), tied.sum(1)
    # over one denominator, for whole numbers are exact, and so a uniform map gets the mask's share to the last bit
    accuracy = (hits * ties + places * (tied & inside).sum(1)).double() / (size * ties)
    return accuracy.masked_fill_(~(_positive(maps) & _informative(masks)), torch.nan)


def pointing_game(maps: Tensor, masks: Tensor, tolerance: int = 0) -> Tensor:
    """Whether the most relevant pixel lies in the mask, 0 or 1; of equal ones the share that does.

    Zhang et al. 2016, arXiv:1608.00507, with 15 pixels of tolerance on photographs.

    Args:
        maps: float (n, H, W). masks: bool (n, H, W).
        tolerance: pixels that the mask is widened by; :func:`chance` takes the same.

    Returns:
        float64 (n,) of 0..1.
    """
    grown = dilated(masks, tolerance)
    best = maps == maps.amax((1, 2), keepdim=True)
    hits = (best & grown).sum((1, 2)).double() / best.sum((1, 2))
    return hits.masked_fill_(~(_positive(maps) & _informative(masks, grown)), torch.nan)


def outline_share(maps: Tensor, outlines: Tensor, masks: Tensor) -> Tensor:
    """Outline against interior: o / (o + i), of positive relevance per pixel on the outline, o, and inside of it, i.

    1/2 is what a uniform map gets, 1: nothing lies inside; the ratio o / i is s / (1 - s), and this share is what can
    be averaged. Ours.

    Args:
        maps: float (n, H, W). outlines: bool (n, H, W), as ``src.imageops.edges.outlines(masks)``, widened or not.
        masks: bool (n, H, W), of whole objects; the interior is what is not outline.

    Returns:
        float64 (n,) of 0..1; NaN where outline or interior have no pixels, or both no positive relevance.
    """
    positive = maps.double().clamp(min=0)
    on, within = (
        (positive * region).sum((1, 2)) / region.sum((1, 2)) for region in (outlines, masks & ~outlines)
    )  # 0 / 0 of an empty region is NaN, which is what it should be
    return (on / (on + within)).masked_fill_(~_positive(maps), torch.nan)


def _positive(maps: Tensor) -> Tensor:
    """bool (n,): a map that is finite and has positive relevance."""
    return maps.isfinite().all(2).all(1) & (maps > 0).any(2).any(1)


def _informative(masks: Tensor, grown: Tensor | None = None) -> Tensor:
    """bool (n,): neither empty nor, as it is or grown, the whole image."""
    return masks.any(2).any(1) & ~(masks if grown is None else grown).all(2).all(1)
